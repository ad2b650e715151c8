"""Run Model Analyzer with three added features: the server's key, a limit of the time, and stored measurements.

Model Analyzer's client sends the key with each request. Each point of the sweep gets an equal share of the remaining
time, and an unstable measurement is accepted. After each point, the throughputs of perf_analyzer's windows are printed.
A point is not measured again if an earlier run measured the same engine, configuration and load.

This module is a program. Its arguments are the path of a JSON file with a `RunPlan`, then the arguments of Model
Analyzer's command line (see `model_analyzer.run`).
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
from slipway.triton.server.leftovers import end_at_once

# The file in the working folder to which perf_analyzer writes the times of each request of a point.
REQUESTS = "requests.json"
# A stability limit (percent) for perf_analyzer that any three windows hold.
ANY = 1_000_000


class _SendsKey(InferenceServerClientPlugin):
    """A plugin of Triton's client that adds a header with the server's key to each request."""

    def __init__(self, name: str, value: str) -> None:
        self._header = {name: value}

    def __call__(self, request: Any) -> None:
        request.headers.update(self._header)


def with_key(client: type, header: tuple[str, str]) -> Callable[..., Any]:
    """Return a function that makes Triton's client and takes the same arguments as `client`, the type of the client.

    The made client sends `header`, (name, secret key), with each request, so that the server lets it load models.
    """

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
    """A mixin for Model Analyzer's class PerfAnalyzer, which measures one point within the point's share of the time.

    In the first half of the share, perf_analyzer measures windows of a number of requests. If that takes longer, as on
    a slow server with large answers, perf_analyzer measures windows of time in the rest of the share. If windows of
    requests do not agree, perf_analyzer measures three windows again, and accepts them although they differ.
    `logs_requests`: whether perf_analyzer writes the times of each request, for the interval of p99.
    """

    budget: Budget
    logs_requests: bool
    _timeout: float

    def run(self, metrics: object, env: dict | None = None) -> int:
        """Measure the point, and print its windows for the load test. Return PA_SUCCESS or PA_FAIL.

        The arguments are those of the overridden method: `metrics`, the metrics to read from the output, and `env`, the
        environment of perf_analyzer.
        """
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
                # Three windows of 1.2 intervals, and perf_analyzer's start, take less than five intervals.
                interval_ms = round(left_s * 1e3 / 5)
                tell(OUT_OF_TIME)
                others |= {"measurement-mode": "time_windows", "measurement-interval": interval_ms}
            first = {name: options[name] for name in others}
            options.update_config(others)
            status = self._attempt(left_s, metrics, env)
            options.update_config(first)  # Model Analyzer names measurements by these options
        if status == self.PA_SUCCESS:
            rates = [float(rate) for rate in re.findall(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec", self._output)]
            latencies = {"p50_ms": p50_ms(self._output), "p99_interval_ms": p99_interval_ms(Path(REQUESTS))}
            tell(WINDOWS, windows_per_s=rates[-3:], unstable=unstable, shortened=shortened, **latencies)
        else:
            tell(NO_FIGURES, reason=self._reason(share_s))
        return status

    def _reason(self, share_s: float) -> str:
        """Return the reason why a point has no figures, in one line. `share_s` is its share of the time (s)."""
        if self._timed_out:
            return f"perf_analyzer did not end in its share of the time, {share_s:.0f} s"
        return f"perf_analyzer failed: {(self._output or '').strip()[-300:]!r}"

    def _get_cmd(self) -> list[str]:
        Path(REQUESTS).unlink(missing_ok=True)  # perf_analyzer does not overwrite a file
        return [*super()._get_cmd(), *([f"--profile-export-file={REQUESTS}"] if self.logs_requests else [])]

    def _attempt(self, seconds: float, metrics: object, env: dict | None) -> int:
        """Run perf_analyzer for at most `seconds`, or for Model Analyzer's own limit if this limit is shorter.

        The other arguments and the result are those of `run`.
        """
        self._output, self._timed_out = "", False
        self._timeout = min(self._longest_s, seconds)
        return super().run(metrics, env)

    def _poll_perf_analyzer(self, process: subprocess.Popen) -> int:
        end = time.monotonic() + self._timeout
        status = super()._poll_perf_analyzer(process)
        self._timed_out = status == self.PA_FAIL and time.monotonic() >= end
        process.wait()  # a killed process would disturb the next measurement
        return status


def p50_ms(output: str) -> float | None:
    """Return the median latency (ms) of the last measurement in perf_analyzer's output; None if the output has none.

    Model Analyzer's own tables have no median.
    """
    medians = re.findall(r"p50 latency: (\d+) usec", output)
    return int(medians[-1]) / 1000 if medians else None


def p99_interval_ms(requests: Path) -> list[float | None] | None:
    """Return [low, high], the interval of the p99 latency (ms), from perf_analyzer's file `requests`.

    The file has the times of each request. Only requests that were answered in the last three windows count, as in
    perf_analyzer's own figures. A bound is None if there are too few requests (see `percentile_interval`). The result
    is None without the file, or without requests in it.
    """
    request = {"timestamp": int, "response_timestamps": list}
    content = read_record(requests, {"experiments": [{"requests": [request]}]}) or {"experiments": []}
    latencies = [latency for experiment in content["experiments"] for latency in _of_windows(experiment)]
    if not latencies:
        return None
    return [None if bound is None else round(bound, 3) for bound in percentile_interval(latencies, 99)]


def _of_windows(experiment: dict) -> list[float]:
    """Return the latencies (ms) of the requests that were answered in the last three windows.

    `experiment` is one of "experiments" in perf_analyzer's file, with "requests" and "window_boundaries".
    """
    windows = experiment.get("window_boundaries", [])[-4:] or [0, math.inf]
    ends = [
        (request["timestamp"], request["response_timestamps"][-1])
        for request in experiment["requests"]
        if request["response_timestamps"]
    ]
    return [(end - begin) / 1e6 for begin, end in ends if windows[0] <= end <= windows[-1]]


def with_own_instances(apply: Callable) -> Callable:
    """Decorate Model Analyzer's function that makes a configuration: in the instance group, only the number changes.

    `apply` is the function. Without this, a quick or optuna search moves a model to CPUs if the search does not monitor
    the model's GPUs. The search also drops the optimization profiles.
    """

    def apply_count(model: Any, parameters: dict | None, messages: list[str]) -> dict:
        changed = dict(parameters or {})
        if changed.get("instance_group"):
            [group], [own] = changed["instance_group"], model.get_default_config()["instance_group"]
            changed["instance_group"] = [own | {"count": group["count"]}]
        return apply(model, changed, messages)

    return apply_count


def looking_often(wait: Callable, per_second: int = 10) -> Callable:
    """Decorate Model Analyzer's method `wait`, which polls a server or a model once a second, to poll it more often.

    It then polls `per_second` times a second. The longest wait stays the same.
    """
    parameters = inspect.signature(wait)

    def wait_looking_often(*arguments: object, **options: object) -> object:
        given = parameters.bind(*arguments, **options).arguments
        return wait(**given | {"num_retries": per_second * given["num_retries"], "sleep_time": 1 / per_second})

    return wait_looking_often


def wait_shortly() -> None:
    """Let Model Analyzer poll its server and perf_analyzer every tenth of a second, instead of every second."""
    from model_analyzer.perf_analyzer import perf_analyzer
    from model_analyzer.triton.client.client import TritonClient

    perf_analyzer.INTERVAL_SLEEP_TIME = 0.1
    for name in ("wait_for_server_ready", "wait_for_model_ready"):
        setattr(TritonClient, name, looking_often(getattr(TritonClient, name)))


def ending_at_once(stop: Callable[[Any], None], owner: str) -> Callable[[Any], None]:
    """Decorate Model Analyzer's method `stop`: end its server without unloading the models, which takes two seconds.

    The method is called after each configuration, when all requests are answered. `owner` is the name by which the
    server's processes are found.
    """

    def stop_at_once(self: Any) -> None:
        if self._tritonserver_process is not None:
            end_at_once(self._tritonserver_process.pid, owner)
        stop(self)

    return stop_at_once


def main() -> None:
    """Run Model Analyzer's command line with the features that the module's docstring lists."""
    from model_analyzer import entrypoint
    from model_analyzer.analyzer import Analyzer
    from model_analyzer.config.generate.base_model_config_generator import BaseModelConfigGenerator
    from model_analyzer.perf_analyzer.perf_analyzer import PerfAnalyzer
    from model_analyzer.record import metrics_manager
    from model_analyzer.result.run_config_measurement import RunConfigMeasurement
    from model_analyzer.triton.server.server_local import TritonServerLocal

    plan = RunPlan(**json.loads(Path(sys.argv.pop(1)).read_text(encoding="utf-8")))
    budget = Budget(plan.seconds, plan.points)
    grpc.InferenceServerClient = with_key(grpc.InferenceServerClient, plan.header)
    wait_shortly()
    if plan.owner:
        TritonServerLocal.stop = ending_at_once(TritonServerLocal.stop, plan.owner)
    attributes = {"budget": budget, "logs_requests": plan.logs_requests}
    metrics_manager.PerfAnalyzer = type("BoundedPerfAnalyzer", (Bounded, PerfAnalyzer), attributes)
    manager = metrics_manager.MetricsManager
    configure = with_own_instances(BaseModelConfigGenerator._apply_param_combo_to_model)
    BaseModelConfigGenerator._apply_param_combo_to_model = staticmethod(configure)
    measure = in_time(manager.execute_run_config, budget)
    measure = unless_kept(measure, plan, budget, RunConfigMeasurement.from_dict, plan.wait_until_stored)
    manager.execute_run_config = unless_idle(measure, plan.most_in_flight)
    # The replaced method starts a server without models, to measure DCGM's GPU metrics, which are not used here.
    Analyzer._get_server_only_metrics = lambda *_: None
    entrypoint.main()
