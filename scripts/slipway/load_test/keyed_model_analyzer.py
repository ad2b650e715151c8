"""Model Analyzer with three features that it lacks: the server's key, a bound in time, kept measurements.

Its client sends the key with each request. Each point of the sweep gets an equal share of the remaining time, and an
unstable measurement is kept. After each point it prints REPORT and the windows of perf_analyzer as JSON. A point that
an earlier run measured, by the hash of engine, configuration and load, is not measured again.

A program of its own, started by its path: python keyed_model_analyzer.py profile -f CONFIGURATION. The environment has
the name and the value of the header with the key, the number of points, the seconds for all of them, the most requests
in flight of a sweep of all points (0 for a search), and the path of the description of kept measurements.
"""

import contextlib
import hashlib
import inspect
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tritonclient.grpc as grpc
from tritonclient.grpc import InferenceServerClientPlugin

NAME, VALUE = "SLIPWAY_KEY_NAME", "SLIPWAY_KEY_VALUE"
POINTS, SECONDS = "SLIPWAY_LOAD_TEST_POINTS", "SLIPWAY_LOAD_TEST_SECONDS"
KEPT = "SLIPWAY_LOAD_TEST_KEPT"
MOST_IN_FLIGHT = "SLIPWAY_LOAD_TEST_MOST_IN_FLIGHT"
# How the lines of its output begin that scripts/load_test.py reads.
REPORT, OVER, SLOW = "windows of this point: ", "no time is left", "windows of requests take too long"
# Then a JSON object {"point", "key"} follows: the point's name, and the hash by which its measurement is kept.
MEASURED, REUSED = "measured point: ", "point of an earlier run: "
# A window must contain several rounds of the requests in flight, or it measures only the first ones.
ROUNDS_IN_A_WINDOW = 4
# perf_analyzer's options that are part of a measurement's hash.
LOAD = ("batch-size", "concurrency-range", "measurement-mode", "measurement-request-count", "stability-percentage")
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
        self.leave_out_point()
        return share

    def leave_out_point(self) -> None:
        """Divide the time among one point less."""
        self._points -= 1


class KeptMeasurements:
    """Measurements of earlier runs, as Model Analyzer's dictionaries, by the hash of engine, configuration and load.

    `description` is a JSON file: {"requests": in a window at least, "store": folder of earlier runs' measurements,
    "fresh": folder for those of this run, "bases": {model: hash of all but its configuration and the load}}.
    """

    def __init__(self, description: Path) -> None:
        content = json.loads(description.read_text(encoding="utf-8"))
        self._requests, self._bases = content["requests"], content["bases"]
        self._store, self._fresh = Path(content["store"]), Path(content["fresh"])

    def set_window(self, run_config: Any) -> None:
        """Set the number of requests in a window of a point."""
        for model in run_config.model_run_configs():
            rounds = ROUNDS_IN_A_WINDOW * model.perf_config()["concurrency-range"]
            model.perf_config().update_config({"measurement-request-count": max(self._requests, rounds)})

    def key(self, run_config: Any) -> str:
        """Return the hash of a point: of the engine, its configuration, and the load."""
        [model] = run_config.model_run_configs()
        configuration = model.model_config_variant().model_config.get_config() | {"name": None}
        load = {name: model.perf_config()[name] for name in LOAD}
        parts = [self._bases[model.model_name()], configuration, load]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def read(self, key: str) -> dict | None:
        """Return an earlier run's measurement; None if there is none."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            return json.loads((self._store / f"{key}.json").read_text(encoding="utf-8"))["measurement"]
        return None

    def write(self, key: str, measurement: object, encode: Callable) -> None:
        """Write a measurement of this run."""
        self._fresh.mkdir(exist_ok=True)
        (self._fresh / f"{key}.json").write_text(json.dumps(measurement, default=encode), encoding="utf-8")


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


def unless_kept(execute: Callable, kept: KeptMeasurements, budget: Budget, read: Callable[[dict], Any]) -> Callable:
    """Decorate the measurement of a point, so that an earlier run's is taken. `read` makes it from a dictionary.

    If a point comes again in this run, perhaps by another name, its first measurement is taken.
    """
    of_this_run: dict[str, object] = {}

    def execute_unless_kept(self: Any, run_config: Any) -> object:
        kept.set_window(run_config)
        key, [model] = kept.key(run_config), run_config.model_run_configs()
        if earlier := key in of_this_run or kept.read(key):
            budget.leave_out_point()
        if key in of_this_run:
            return of_this_run[key]
        point = f"{model.model_variant_name()}/{model.perf_config()['concurrency-range']}"
        if earlier:
            self._create_model_variants(run_config)
            measurement = read(earlier | {"_model_variants_name": run_config.model_variants_name()})
            self._result_manager.add_run_config_measurement(run_config, measurement)
        elif (measurement := execute(self, run_config)) is None:
            return None
        else:
            kept.write(key, measurement, self._state_manager.default_encode)
        print((REUSED if earlier else MEASURED) + json.dumps({"point": point, "key": key}), flush=True)
        of_this_run[key] = measurement
        return measurement

    return execute_unless_kept


def unless_idle(execute: Callable, most_in_flight: int, budget: Budget) -> Callable:
    """Decorate the measurement of a point, so that points with fewer requests in flight than instances are left out.

    Instances without a request would show nothing. With `most_in_flight` (the sweep's highest number), each
    configuration is measured. An earlier measurement replaces the missing one, since Model Analyzer ends a
    configuration without it.
    """
    earlier: list[object] = []

    def execute_unless_idle(self: object, run_config: Any) -> object:
        [model] = run_config.model_run_configs()
        groups = model.model_config_variant().model_config.get_config()["instance_group"]
        in_flight = model.perf_config()["concurrency-range"]
        if earlier and in_flight < min(most_in_flight, sum(group["count"] for group in groups)):
            budget.leave_out_point()
            return earlier[-1]
        if measurement := execute(self, run_config):
            earlier.append(measurement)
        return measurement

    return execute_unless_idle


def with_own_instances(apply: Callable) -> Callable:
    """Decorate the making of a configuration, so that its instances keep all of config.pbtxt but their number.

    By itself, a quick or optuna search takes CPUs for a model whose GPUs it does not monitor, and drops the profiles.
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

    budget = Budget(float(os.environ[SECONDS]), int(os.environ[POINTS]))
    kept = KeptMeasurements(Path(os.environ[KEPT]))
    grpc.InferenceServerClient = _KeyedClient
    wait_shortly()
    metrics_manager.PerfAnalyzer = type("BoundedPerfAnalyzer", (Bounded, PerfAnalyzer), {"budget": budget})
    manager = metrics_manager.MetricsManager
    configure = with_own_instances(BaseModelConfigGenerator._apply_param_combo_to_model)
    BaseModelConfigGenerator._apply_param_combo_to_model = staticmethod(configure)
    measure = in_time(manager.execute_run_config, budget)
    measure = unless_kept(measure, kept, budget, RunConfigMeasurement.from_dict)
    manager.execute_run_config = unless_idle(measure, int(os.environ[MOST_IN_FLIGHT]), budget)
    # It starts a server without models to measure DCGM's GPU metrics, which are not used here.
    Analyzer._get_server_only_metrics = lambda *_: None
    entrypoint.main()


if __name__ == "__main__":
    sys.exit(main())
