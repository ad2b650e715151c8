"""Model Analyzer with three features that it lacks: the server's key, a bound in time, kept measurements.

Model Analyzer's client sends the key with each request. Each point of the sweep gets an equal share of the remaining
time, and an unstable measurement is kept. After each point it prints the windows of perf_analyzer. A point that an
earlier run measured, by the hash of engine, configuration and load, is not measured again.

This module is a program. Its arguments are the path of a `RunPlan`, then the arguments of Model Analyzer's command
line (see `model_analyzer.run`).
"""

import inspect
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tritonclient.grpc as grpc
from tritonclient.grpc import InferenceServerClientPlugin

from slipway.benchmark.timing import percentile_interval
from slipway.core.records import read_record
from slipway.load_test.analyzed_points import (
    NO_FIGURES,
    OUT_OF_TIME,
    WINDOWS,
    Budget,
    RunPlan,
    in_time,
    tell,
    unless_idle,
    unless_kept,
)

# The file in the working folder to which perf_analyzer writes the times of each request of a point.
REQUESTS = "requests.json"
# perf_analyzer's stability in percent that every three windows have.
ANY = 1_000_000


class _SendsKey(InferenceServerClientPlugin):
    """A plugin of the client that adds the header with the key to each request."""

    def __init__(self, name: str, value: str) -> None:
        self._header = {name: value}

    def __call__(self, request: Any) -> None:
        request.headers.update(self._header)


def with_key(client: type, header: tuple[str, str]) -> Callable[..., Any]:
    """Return a function that makes Triton's client, which then sends the key with each request."""

    def keyed_client(*arguments: object, **options: object) -> Any:
        made = client(*arguments, **options)
        made.register_plugin(_SendsKey(*header))
        return made

    return keyed_client


if TYPE_CHECKING:
    # Model Analyzer's class has no types.
    _PerfAnalyzer: Any
else:
    _PerfAnalyzer = object


class Bounded(_PerfAnalyzer):
    """A mixin of Model Analyzer's class PerfAnalyzer, which runs perf_analyzer for one point in its share of the time.

    Windows of requests have half of the share. If they take longer, as on a slow server with large answers, windows of
    time have the rest. If they do not agree, three windows are kept as they are.
    """

    budget: Budget
    logs_requests: bool
    _timeout: float

    def run(self, metrics: object, env: dict | None = None) -> int:
        """Measure the point. Returns PA_SUCCESS or PA_FAIL, as the overridden method."""
        share_s, self._longest_s = self.budget.share_s(), self._timeout
        end = time.monotonic() + share_s
        [model] = self._config.model_run_configs()
        options = model.perf_config()
        requests = options["measurement-request-count"]
        status = self._attempt(share_s / 2, metrics, env)
        unstable = status == self.PA_FAIL and "Failed to obtain stable measurement" in self._output
        shortened = self._timed_out
        if unstable or shortened:
            left_s = end - time.monotonic()
            # Model Analyzer has raised the number of requests, for a repetition that it does not make.
            others: dict[str, object] = {"stability-percentage": ANY, "measurement-request-count": requests}
            if shortened:
                # A window of time takes 1.2 intervals. There are three, and perf_analyzer has to start.
                interval_ms = round(left_s * 1e3 / 5)
                tell(OUT_OF_TIME)
                others |= {"measurement-mode": "time_windows", "measurement-interval": interval_ms}
            first = {name: options[name] for name in others}
            options.update_config(others)
            status = self._attempt(left_s, metrics, env)
            options.update_config(first)  # Model Analyzer names its measurements by them
        if status == self.PA_SUCCESS:
            rates = [float(rate) for rate in re.findall(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec", self._output)]
            latencies = {"p50_ms": p50_ms(self._output), "p99_interval_ms": p99_interval_ms(Path(REQUESTS))}
            tell(WINDOWS, windows_per_s=rates[-3:], unstable=unstable, shortened=shortened, **latencies)
        else:
            tell(NO_FIGURES, reason=self._reason(share_s))
        return status

    def _reason(self, share_s: float) -> str:
        """Return the reason of a point without figures, in one line."""
        if self._timed_out:
            return f"perf_analyzer did not end in its share of the time, {share_s:.0f} s"
        return f"perf_analyzer failed: {(self._output or '').strip()[-300:]!r}"

    def _get_cmd(self) -> list[str]:
        Path(REQUESTS).unlink(missing_ok=True)  # perf_analyzer overwrites no file
        return [*super()._get_cmd(), *([f"--profile-export-file={REQUESTS}"] if self.logs_requests else [])]

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


def p50_ms(output: str) -> float | None:
    """Return the median latency (ms) of the last measurement in perf_analyzer's output.

    Model Analyzer's own tables have no median.
    """
    medians = re.findall(r"p50 latency: (\d+) usec", output)
    return int(medians[-1]) / 1000 if medians else None


def p99_interval_ms(requests: Path) -> list[float | None] | None:
    """Return the bounds of the p99 (ms; see `percentile_interval`) from perf_analyzer's file of the requests' times.

    The requests of the last three windows count, as in perf_analyzer's own figures. Without such a file, or without
    requests in it, the result is None.
    """
    request = {"timestamp": int, "response_timestamps": list}
    content = read_record(requests, {"experiments": [{"requests": [request]}]}) or {"experiments": []}
    latencies = [latency for experiment in content["experiments"] for latency in _of_windows(experiment)]
    if not latencies:
        return None
    return [None if bound is None else round(bound, 3) for bound in percentile_interval(latencies, 99)]


def _of_windows(experiment: dict) -> list[float]:
    """Return the latencies (ms) of the requests that were answered in the last three windows."""
    windows = experiment.get("window_boundaries", [])[-4:] or [0, math.inf]
    ends = [
        (request["timestamp"], request["response_timestamps"][-1])
        for request in experiment["requests"]
        if request["response_timestamps"]
    ]
    return [(end - begin) / 1e6 for begin, end in ends if windows[0] <= end <= windows[-1]]


def with_own_instances(apply: Callable) -> Callable:
    """Decorate the making of a configuration, so that its instances keep all of config.pbtxt but their number.

    Without this, a quick or optuna search takes CPUs for a model whose GPUs it does not monitor, and drops profiles.
    """

    def apply_count(model: Any, parameters: dict | None, messages: list[str]) -> dict:
        changed = dict(parameters or {})
        if changed.get("instance_group"):
            [group], [own] = changed["instance_group"], model.get_default_config()["instance_group"]
            changed["instance_group"] = [own | {"count": group["count"]}]
        return apply(model, changed, messages)

    return apply_count


def looking_often(wait: Callable, per_second: int = 10) -> Callable:
    """Decorate a method that waits for a server or a model, looking once a second, so that it looks more often."""
    parameters = inspect.signature(wait)

    def wait_looking_often(*arguments: object, **options: object) -> object:
        given = parameters.bind(*arguments, **options).arguments
        return wait(**given | {"num_retries": per_second * given["num_retries"], "sleep_time": 1 / per_second})

    return wait_looking_often


def wait_shortly() -> None:
    """Let Model Analyzer wait for its server and for perf_analyzer no longer than needed, instead of whole seconds."""
    from model_analyzer.perf_analyzer import perf_analyzer
    from model_analyzer.triton.client.client import TritonClient

    perf_analyzer.INTERVAL_SLEEP_TIME = 0.1
    for name in ("wait_for_server_ready", "wait_for_model_ready"):
        setattr(TritonClient, name, looking_often(getattr(TritonClient, name)))


def main() -> None:
    """Run Model Analyzer's command line."""
    from model_analyzer import entrypoint
    from model_analyzer.analyzer import Analyzer
    from model_analyzer.config.generate.base_model_config_generator import BaseModelConfigGenerator
    from model_analyzer.perf_analyzer.perf_analyzer import PerfAnalyzer
    from model_analyzer.record import metrics_manager
    from model_analyzer.result.run_config_measurement import RunConfigMeasurement

    plan = RunPlan(**json.loads(Path(sys.argv.pop(1)).read_text(encoding="utf-8")))
    budget = Budget(plan.seconds, plan.points)
    grpc.InferenceServerClient = with_key(grpc.InferenceServerClient, plan.header)
    wait_shortly()
    attributes = {"budget": budget, "logs_requests": plan.logs_requests}
    metrics_manager.PerfAnalyzer = type("BoundedPerfAnalyzer", (Bounded, PerfAnalyzer), attributes)
    manager = metrics_manager.MetricsManager
    configure = with_own_instances(BaseModelConfigGenerator._apply_param_combo_to_model)
    BaseModelConfigGenerator._apply_param_combo_to_model = staticmethod(configure)
    measure = in_time(manager.execute_run_config, budget)
    measure = unless_kept(measure, plan, budget, RunConfigMeasurement.from_dict)
    manager.execute_run_config = unless_idle(measure, plan.most_in_flight)
    # It starts a server without models to measure DCGM's GPU metrics, which are not used here.
    Analyzer._get_server_only_metrics = lambda *_: None
    entrypoint.main()
