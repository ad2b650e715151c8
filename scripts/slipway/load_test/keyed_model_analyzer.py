"""Model Analyzer with two things for which it has no options: the server's key, and a bound in time.

Its client sends the key with each request. Each point of the sweep has an equal share of the time that is left, and an
unstable measurement is kept. After each point it prints REPORT and the windows of perf_analyzer as JSON.

A program of its own, started by its path: python keyed_model_analyzer.py profile -f CONFIGURATION. The environment has
the name and the value of the header with the key, the number of points, and the seconds for all of them.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import tritonclient.grpc as grpc
from tritonclient.grpc import InferenceServerClientPlugin

NAME, VALUE = "SLIPWAY_KEY_NAME", "SLIPWAY_KEY_VALUE"
POINTS, SECONDS = "SLIPWAY_LOAD_TEST_POINTS", "SLIPWAY_LOAD_TEST_SECONDS"
# How the lines of its output begin that scripts/load_test.py reads.
REPORT, OVER, SLOW = "windows of this point: ", "no time is left", "windows of requests take too long"
# A point with less time is not begun: perf_analyzer starts in a second, and has three windows of at least a second.
LEAST_S = 6.0
# perf_analyzer's stability in percent that every three windows have.
ANY = 1_000_000


class _SendsKey(InferenceServerClientPlugin):
    """A plugin of the client that adds the key to each request."""

    def __call__(self, request: object) -> None:
        request.headers[os.environ[NAME]] = os.environ[VALUE]


class _KeyedClient(grpc.InferenceServerClient):
    """Triton's client, which sends the key with each request."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.register_plugin(_SendsKey())


class Budget:
    """The seconds for a number of points. They start with the first point, the start of its server included."""

    def __init__(self, seconds: float, points: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._points, self._clock = seconds, points, clock
        self._end: float | None = None

    def left_s(self) -> float:
        """Return the seconds that are left, and start the time with the first call."""
        if self._end is None:
            self._end = self._clock() + self._seconds
        return self._end - self._clock()

    def share_s(self) -> float:
        """Return the equal share of the next point in the seconds that are left."""
        share = self.left_s() / max(self._points, 1)
        self._points -= 1
        return share


class Bounded:
    """A mixin of Model Analyzer's class PerfAnalyzer, which runs perf_analyzer for one point in its share of the time.

    Windows of requests have half of the share. If they take longer, as on a slow server with large answers, windows of
    time have the rest. If they do not agree, three windows are kept as they are.
    """

    budget: Budget

    def run(self, metrics: object, env: dict | None = None) -> int:
        """Measure the point. Returns PA_SUCCESS or PA_FAIL, as the overridden method."""
        share_s, self._longest_s = self.budget.share_s(), self._timeout
        end = time.monotonic() + share_s
        [requests] = {config["measurement-request-count"] for config in self._configs()}
        status = self._attempt(share_s / 2, metrics, env)
        unstable = status == self.PA_FAIL and "Failed to obtain stable measurement" in self._output
        shortened = self._timed_out
        if unstable or shortened:
            left_s = end - time.monotonic()
            # Model Analyzer has raised the number of requests, for a repetition that it does not make.
            options: dict[str, object] = {"stability-percentage": ANY, "measurement-request-count": requests}
            if shortened:
                # A window of time takes 1.2 intervals. There are three, and perf_analyzer has to start.
                interval_ms = round(left_s * 1e3 / 5)
                print(f"{SLOW}: windows of {interval_ms} ms instead", flush=True)
                options |= {"measurement-mode": "time_windows", "measurement-interval": interval_ms}
            with self._options(options):
                status = self._attempt(left_s, metrics, env)
        if status == self.PA_SUCCESS:
            rates = [float(rate) for rate in re.findall(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec", self._output)]
            report = {"windows_per_s": rates[-3:], "unstable": unstable, "shortened": shortened}
            report["p50_ms"] = p50_ms(self._output)
            print(REPORT + json.dumps(report), flush=True)
        return status

    def _attempt(self, seconds: float, metrics: object, env: dict | None) -> int:
        """Run perf_analyzer for at most `seconds`, or for Model Analyzer's own bound if that is shorter."""
        self._output, self._timed_out = "", False
        self._timeout = min(self._longest_s, seconds)
        return super().run(metrics, env)

    def _poll_perf_analyzer(self, process: subprocess.Popen) -> int:
        end = time.monotonic() + self._timeout
        status = super()._poll_perf_analyzer(process)
        self._timed_out = status == self.PA_FAIL and time.monotonic() >= end
        process.wait()  # after a kill, so that it does not disturb the next measurement
        return status

    def _configs(self) -> list[Any]:
        """Return perf_analyzer's options for each model; there is one."""
        return [model.perf_config() for model in self._config.model_run_configs()]

    @contextlib.contextmanager
    def _options(self, options: dict[str, object]) -> Iterator[None]:
        """Let perf_analyzer run with other options. Model Analyzer names its measurements by the first ones."""
        configs = self._configs()
        before = [{name: config[name] for name in options} for config in configs]
        for config in configs:
            config.update_config(options)
        try:
            yield
        finally:
            for config, first in zip(configs, before, strict=True):
                config.update_config(first)


def p50_ms(output: str) -> float | None:
    """Return the median latency (ms) of the last measurement in perf_analyzer's output; Model Analyzer has none."""
    found = re.findall(r"p50 latency: (\d+) usec", output)
    return int(found[-1]) / 1000 if found else None


def in_time(execute: Callable, budget: Budget) -> Callable:
    """Decorate the measurement of a point (its server included), so that none begins when no time is left."""

    def execute_in_time(self: object, run_config: Any) -> object:
        if budget.left_s() >= LEAST_S:
            return execute(self, run_config)
        print(OVER, flush=True)
        return None

    return execute_in_time


def main() -> None:
    """Run Model Analyzer's command line."""
    from model_analyzer import entrypoint
    from model_analyzer.perf_analyzer.perf_analyzer import PerfAnalyzer
    from model_analyzer.record import metrics_manager

    budget = Budget(float(os.environ[SECONDS]), int(os.environ[POINTS]))
    grpc.InferenceServerClient = _KeyedClient
    metrics_manager.PerfAnalyzer = type("BoundedPerfAnalyzer", (Bounded, PerfAnalyzer), {"budget": budget})
    manager = metrics_manager.MetricsManager
    manager.execute_run_config = in_time(manager.execute_run_config, budget)
    entrypoint.main()


if __name__ == "__main__":
    sys.exit(main())
