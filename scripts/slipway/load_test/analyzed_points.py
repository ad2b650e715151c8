"""Decorators of Model Analyzer's method that measures a point: bound its time, take a kept result, leave it out.

Only keyed_model_analyzer uses them, within Model Analyzer's process.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# How a line of the output begins that the load test reads. Its name and a JSON object follow.
EVENT = "slipway event: "
BEGINS, WINDOWS, MEASURED, REUSED = "begins", "windows", "measured", "reused"
OUT_OF_TIME, NO_FIGURES = "out of time", "no figures"
# A window must contain several rounds of the requests in flight, or it measures only the first ones.
ROUNDS_IN_A_WINDOW = 4
# {tag of a metric of Model Analyzer, which is also a column of its table: this project's name}
FIGURES = {
    "perf_throughput": "throughput_per_s",
    "perf_latency_avg": "mean_ms",
    "perf_latency_p90": "p90_ms",
    "perf_latency_p95": "p95_ms",
    "perf_latency_p99": "p99_ms",
    "perf_server_queue": "queue_ms",
    "perf_server_compute_infer": "compute_ms",
}
# perf_analyzer's options that are part of a measurement's hash.
LOAD = ("batch-size", "concurrency-range", "measurement-mode", "measurement-request-count", "stability-percentage")
# A point with less time is not begun: perf_analyzer starts in a second, and has three windows of at least a second.
LEAST_S = 6.0


@dataclass(frozen=True)
class RunPlan:
    """The load test's instructions for Model Analyzer's process, which gets them as a JSON file.

    All `points` together have `seconds`. `most_in_flight` is the highest number of a sweep of all points, 0 for a
    search. A window has at least `requests`. `header` is the name and the value of the server's key. `logs_requests`:
    perf_analyzer writes the times of each request. `bases` are {model: hash of all that its measurements depend on, but
    for its configuration and the load}. `store` is the folder of the measurements of earlier runs.
    """

    points: int
    seconds: float
    most_in_flight: int
    requests: int
    header: tuple[str, str]
    logs_requests: bool
    bases: dict[str, str]
    store: str

    def set_window(self, run_config: Any) -> None:
        """Set the number of requests in a window of a point."""
        [model] = run_config.model_run_configs()
        rounds = ROUNDS_IN_A_WINDOW * model.perf_config()["concurrency-range"]
        model.perf_config().update_config({"measurement-request-count": max(self.requests, rounds)})

    def key(self, run_config: Any) -> str:
        """Return the hash of a point: of the engine, its configuration, and the load."""
        [model] = run_config.model_run_configs()
        configuration = model.model_config_variant().model_config.get_config() | {"name": None}
        load = {name: model.perf_config()[name] for name in LOAD}
        parts = [self.bases[model.model_name()], configuration, load]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def read(self, key: str) -> dict | None:
        """Return an earlier run's measurement, as Model Analyzer's dictionary; None if there is none."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            return json.loads(Path(self.store, f"{key}.json").read_text(encoding="utf-8"))["measurement"]
        return None


def tell(event: str, encode: Any = None, **content: object) -> None:
    """Print an event for the load test, which reads the output. `encode` makes JSON content of other objects."""
    print(f"{EVENT}{json.dumps([event, content], default=encode)}", flush=True)


def point_of(run_config: Any) -> dict:
    """Return a point of Model Analyzer: {"variant", "model", "instances", "max_batch_size", ..., "concurrency"}."""
    [model] = run_config.model_run_configs()
    configuration = model.model_config_variant().model_config.get_config()
    return {
        "variant": model.model_variant_name(),
        "model": model.model_name(),
        "instances": sum(group["count"] for group in configuration["instance_group"]),
        "max_batch_size": configuration.get("max_batch_size", 0),
        "queue_delay_us": int(configuration.get("dynamic_batching", {}).get("max_queue_delay_microseconds", 0)),
        "concurrency": model.perf_config()["concurrency-range"],
    }


def figures_of(measurement: Any) -> dict[str, float]:
    """Return {this project's name: value} of a measurement of Model Analyzer."""
    return {name: round(measurement.get_non_gpu_metric_value(tag), 4) for tag, name in FIGURES.items()}


class Budget:
    """The seconds that a number of points share. The time starts before the server of the first point is started."""

    def __init__(self, seconds: float, points: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._points, self._clock = seconds, points, clock
        self._end: float | None = None

    def left_s(self) -> float:
        """Return the seconds that are left, and start the time with the first call."""
        if self._end is None:
            self._end = self._clock() + self._seconds
        return self._end - self._clock()

    def share_s(self) -> float:
        """Return the seconds for the next point: an equal share of the seconds that are left."""
        share = self.left_s() / max(self._points, 1)
        self.leave_out_point()
        return share

    def leave_out_point(self) -> None:
        """Divide the time among one point less."""
        self._points -= 1


def in_time(execute: Callable, budget: Budget) -> Callable:
    """Decorate the measurement of a point (its server included), so that no measurement begins when no time is left."""

    def execute_in_time(self: object, run_config: Any) -> object:
        if budget.left_s() < LEAST_S:
            tell(OUT_OF_TIME)
            return None
        tell(BEGINS, **point_of(run_config))
        return execute(self, run_config)

    return execute_in_time


def unless_kept(execute: Callable, plan: RunPlan, budget: Budget, read: Callable[[dict], Any]) -> Callable:
    """Decorate the measurement of a point, so that an earlier run's measurement is taken, if there is one.

    `read` makes a measurement from a dictionary. If a point comes again in this run, perhaps under another name, the
    first measurement of the point is taken.
    """
    of_this_run: dict[str, object] = {}

    def execute_unless_kept(self: Any, run_config: Any) -> object:
        plan.set_window(run_config)
        key = plan.key(run_config)
        if key in of_this_run:
            return of_this_run[key]
        if earlier := plan.read(key):
            budget.leave_out_point()
            self._create_model_variants(run_config)
            measurement = read(earlier | {"_model_variants_name": run_config.model_variants_name()})
            self._result_manager.add_run_config_measurement(run_config, measurement)
        elif (measurement := execute(self, run_config)) is None:
            return None
        event, row = REUSED if earlier else MEASURED, point_of(run_config) | figures_of(measurement)
        tell(event, self._state_manager.default_encode, key=key, row=row, measurement=measurement)
        of_this_run[key] = measurement
        return measurement

    return execute_unless_kept


def unless_idle(execute: Callable, most_in_flight: int) -> Callable:
    """Decorate the measurement of a point, so that points with fewer requests in flight than instances are skipped.

    Instances without a request would show nothing. A point with `most_in_flight` requests, the sweep's highest number,
    is always measured, so each configuration has a measurement. A skipped point gets an earlier point's measurement,
    since Model Analyzer ends a configuration whose point has none.
    """
    earlier: list[object] = []

    def execute_unless_idle(self: object, run_config: Any) -> object:
        point = point_of(run_config)
        if earlier and point["concurrency"] < min(most_in_flight, point["instances"]):
            return earlier[-1]
        if measurement := execute(self, run_config):
            earlier.append(measurement)
        return measurement

    return execute_unless_idle
