"""Reads the output of Model Analyzer during a load test, and perf_analyzer's times of each request."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.benchmark.timing import percentile_interval
from slipway.core.cli import progress
from slipway.core.records import read_record
from slipway.load_test.analyzed_points import OVER, REUSED
from slipway.load_test.keyed_model_analyzer import NO_FIGURES, REPORT, SLOW
from slipway.triton.server.memory import PeakMemory


@dataclass
class Narrator:
    """A reader of Model Analyzer's output: it keeps each line in the log, and prints the progress.

    It names the phase for the memory monitor. `windows`: {phase: report of keyed_model_analyzer}. Before and after each
    measurement, `require_own` checks that the ports belong to the load test's own server. `on_point`: {beginning of a
    line: function to call with the point and its hash}. `requests` is perf_analyzer's file with the times
    of each request; None if it writes none.
    """

    memory: PeakMemory
    require_own: Callable[[], None]
    windows: dict[str, dict] = field(default_factory=dict)
    out_of_time: bool = False
    on_point: dict[str, Callable[[str, str], None]] = field(default_factory=dict)
    requests: Path | None = None

    def __call__(self, line: str) -> None:
        """Read one line."""
        print(line, flush=True)
        if match := re.search(r"Profiling (\S+): concurrency=(\d+)", line):
            self.require_own()
            self.memory.phase = f"{match[1]}/{match[2]}"
            progress(f"  measuring {match[1]} with {match[2]} request(s) in flight")
        elif line.startswith(REPORT):
            self.memory.measure()
            interval = p99_interval_ms(self.requests) if self.requests else None
            report = json.loads(line.removeprefix(REPORT))
            self.windows[self.memory.phase] = report | {"p99_interval_ms": interval}
        elif "Saved checkpoint" in line:  # measured; next, the server of the next variant may start
            self.memory.phase = ""
            self.require_own()
        elif begin := next((begin for begin in self.on_point if line.startswith(begin)), None):
            named = json.loads(line.removeprefix(begin))
            self.on_point[begin](named["point"], named["key"])
            if begin == REUSED:
                progress(f"  {named['point']} was measured by an earlier run")
        elif line.startswith((OVER, SLOW)):
            self.out_of_time = True
        elif line.startswith(NO_FIGURES):
            progress(f"  not measured: {line.removeprefix(NO_FIGURES)}")
        elif "load failed" in line:
            progress(f"  not measured: {line.removeprefix('[Model Analyzer] ')}")


def p99_interval_ms(requests: Path) -> list[float | None] | None:
    """Return the bounds of the p99 (ms; see `percentile_interval`) from perf_analyzer's file of the requests' times.

    The requests of the last three windows count, as in its own figures. Without such a file, or without requests in it,
    the result is None.
    """
    each_request = {"timestamp": int, "response_timestamps": list}
    content = read_record(requests, {"experiments": [{"requests": [each_request]}]})
    latencies = [latency for each in (content or {"experiments": []})["experiments"] for latency in _of_windows(each)]
    if not latencies:
        return None
    return [None if bound is None else round(bound, 3) for bound in percentile_interval(latencies, 99)]


def _of_windows(experiment: dict) -> list[float]:
    """Return the latencies (ms) of the requests that were answered in the last three windows."""
    windows = experiment.get("window_boundaries", [])[-4:] or [0, math.inf]
    ends = [
        (each["timestamp"], each["response_timestamps"][-1])
        for each in experiment["requests"]
        if each["response_timestamps"]
    ]
    return [(end - begin) / 1e6 for begin, end in ends if windows[0] <= end <= windows[-1]]
