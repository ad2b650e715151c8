"""Run perf_analyzer at one request rate with Poisson arrivals: its command, and its figures as a point.

Each request is sent at its scheduled time, even if earlier requests are not answered yet (an open loop). So a queue
grows at a server that is too slow, as in production. A closed loop would send fewer requests. Each request has one
sample.

This module draws the times of the requests itself. perf_analyzer's own `--request-distribution poisson` draws the same
first times in each run. With these times, release 2.51 sends the first hundred requests at a rate that is a fifth too
low, and reports only delayed requests.

perf_analyzer goes on sending while it evaluates a window. Its rate counts these requests, but not the time of the
evaluation. So at ten thousand requests/s, it reports up to twice the rate that it really sends.
"""

import csv
import io
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipway.benchmark.timing import is_carried
from slipway.core.errors import SlipwayError
from slipway.load_test.model_analyzer import input_data, perf_analyzer, without_proxies
from slipway.triton.client.ports import Ports
from slipway.triton.server.installation import perf_analyzer_environment

# The file with perf_analyzer's figures, in the folder of its `Sender`.
TABLE = "figures.csv"
# perf_analyzer measures this many windows, each of them 1.2 times as long as asked.
WINDOWS, STRETCH = 3, 1.2
# A stability limit (percent) that any windows hold, since random arrivals differ from window to window.
ANY = 1_000_000
# Seconds for perf_analyzer to start, and to wait for its last answers where the server keeps up.
OVERHEAD_S = 10.0
# Every schedule uses the same random numbers, so all rates and configurations get the same bursts.
SEED = 0
# In perf_analyzer's output if no request was answered within a window.
NO_ANSWERS = "use a larger time window"
# {perf_analyzer's column (microseconds): (percentile or None, this project's name)}
LATENCIES = {
    "Avg latency": (None, "mean_ms"),
    "p50 latency": (50, "p50_ms"),
    "p90 latency": (90, "p90_ms"),
    "p95 latency": (95, "p95_ms"),
    "p99 latency": (99, "p99_ms"),
    "Server Queue": (None, "queue_ms"),
    "Server Compute Infer": (None, "compute_ms"),
}


@dataclass(frozen=True)
class Sender:
    """Sends requests to the Triton model `model` at `ports`, with perf_analyzer.

    `folder` has the samples (see `model_analyzer.input_data`), and gets the files of perf_analyzer.
    """

    model: str
    ports: Ports
    folder: Path

    def measure(self, rate_per_s: float, seconds: float) -> dict | None:
        """Send `rate_per_s` requests/s at random times for `seconds`. Return the measured point, as `read_point`.

        perf_analyzer waits for the answers to all requests; if they come too late, the result is None. Raises
        SlipwayError if perf_analyzer fails.
        """
        times = self.folder / "intervals.txt"
        times.write_text("".join(f"{interval}\n" for interval in intervals_us(rate_per_s, seconds)), encoding="ascii")
        done = self._run(self.command(times, seconds), seconds)
        if done is None or (done.returncode and NO_ANSWERS in done.stdout):
            return None
        return read_point(done.stdout, self._table(done, f"at {rate_per_s:g} requests/s"), rate_per_s)

    def throughput(self, in_flight: int, seconds: float) -> float:
        """Return the inferences/s of a closed loop, in which `in_flight` requests are in flight at any time.

        `seconds` is the time to measure.
        """
        done = self._run([*self._options(seconds), "--concurrency-range", str(in_flight)], seconds)
        [row] = csv.DictReader(io.StringIO(self._table(done, f"with {in_flight} requests in flight")))
        return float(row["Inferences/Second"])

    def command(self, times: Path, seconds: float) -> list[str]:
        """Return perf_analyzer's command for an open loop, which sends each request at its time, for `seconds`.

        `times` is the file with the intervals between requests. Without --async, at most four requests would be in
        flight: a closed loop.
        """
        return [*self._options(seconds), "--request-intervals", str(times), "--async"]

    def _options(self, seconds: float) -> list[str]:
        window_ms = max(1, round(1e3 * seconds / WINDOWS / STRETCH))
        return [
            *(perf_analyzer(), "-m", self.model, "-i", "grpc", "-u", f"{self.ports.host}:{self.ports.grpc}"),
            *("--measurement-mode", "time_windows", "--measurement-interval", str(window_ms)),
            *("--max-trials", str(WINDOWS), "--stability-percentage", str(ANY)),
            *("--input-data", str(input_data(self.folder, self.model)), "-v", "--verbose-csv", "-f", TABLE),
        ]

    def _run(self, command: list[str], seconds: float) -> subprocess.CompletedProcess[str] | None:
        """Run perf_analyzer, print its output, and return its result.

        Returns None if perf_analyzer runs longer than OVERHEAD_S + 3 * `seconds`, where `seconds` is the time to
        measure.
        """
        (self.folder / TABLE).unlink(missing_ok=True)
        try:
            done = subprocess.run(
                command,
                env=without_proxies(os.environ) | perf_analyzer_environment(self.folder),
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=OVERHEAD_S + 3 * seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        print(done.stdout, flush=True)
        return done

    def _table(self, done: subprocess.CompletedProcess[str] | None, load: str) -> str:
        """Return perf_analyzer's figures as CSV text. Raise SlipwayError with its output if perf_analyzer failed.

        `done` is None if perf_analyzer took too long. `load` ends the error message, such as "at 40 requests/s".
        """
        if done is None:
            raise SlipwayError(f"perf_analyzer took too long {load}")
        if done.returncode or not (self.folder / TABLE).is_file():
            raise SlipwayError(f"perf_analyzer ended with exit code {done.returncode} {load}:\n{done.stdout[-1500:]}")
        return (self.folder / TABLE).read_text(encoding="utf-8")


def intervals_us(rate_per_s: float, seconds: float) -> list[int]:
    """Return random intervals (µs) between requests: a Poisson process of `rate_per_s` requests/s for `seconds`."""
    count = max(1, round(rate_per_s * seconds))
    intervals = np.random.default_rng(SEED).exponential(size=count)
    return np.maximum(1, np.rint(intervals * 1e6 * count / rate_per_s / intervals.sum())).astype(int).tolist()


def read_point(output: str, table: str, rate_per_s: float) -> dict:
    """Return the point at a rate (requests/s), from perf_analyzer's verbose output and its CSV table.

    The point has "asked_per_s", "sent_per_s", "answered_per_s" (requests/s), "requests" (number of answered requests),
    "delayed_percent" of the requests, throughput and mean latency of each window ("windows_per_s", "windows_mean_ms"),
    and the names of LATENCIES (ms). A percentile is absent if the samples are too few. "tail_percentile" is the
    percentile nearest to p99 for which the samples suffice, and "tail_ms" its value.
    """
    [row] = csv.DictReader(io.StringIO(table))
    passes = re.findall(r"Pass \[\d+\] throughput: ([\d.e+]+) infer/sec\. Avg latency: (\d+) usec", output)
    count = int(_only(r"Request count: (\d+)", output))
    latencies = {
        name: float(row[column]) / 1e3
        for column, (percentile, name) in LATENCIES.items()
        if row.get(column) and (percentile is None or is_carried(percentile, count))
    }
    # These two lines are absent if every request was sent at its time.
    sent = re.search(r"Avg send request rate: ([\d.e+]+) infer/sec", output)
    delayed = re.search(r"([\d.]+)% of the requests were delayed", output)
    return {
        "asked_per_s": rate_per_s,
        "sent_per_s": min(float(sent[1]), rate_per_s) if sent else rate_per_s,
        "answered_per_s": float(row["Inferences/Second"]),
        "requests": count,
        "delayed_percent": float(delayed[1]) if delayed else 0.0,
        "windows_per_s": [float(rate) for rate, _ in passes],
        "windows_mean_ms": [int(mean) / 1e3 for _, mean in passes],
        **latencies,
        # With fewer than 100 samples, perf_analyzer's p99 is one of the slowest samples.
        "tail_ms": float(row["p99 latency"]) / 1e3,
        "tail_percentile": min(99, int(100 - 100 / count)),
    }


def _only(pattern: str, output: str) -> str:
    if match := re.search(pattern, output):
        return match[1]
    raise SlipwayError(f"perf_analyzer's output has no {pattern.partition(':')[0]}:\n{output[-1500:]}")
