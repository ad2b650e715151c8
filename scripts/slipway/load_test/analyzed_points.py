"""Decorators for Model Analyzer's method that measures a point: limit the time, reuse a measurement, skip a point.

A point is a configuration of a model with a number of requests in flight. Model Analyzer's object for a point is a
`run_config`. Only keyed_model_analyzer uses these decorators, within Model Analyzer's process.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The prefix of an output line that the load test reads. After it comes JSON: [name of the event, content].
EVENT = "slipway event: "
BEGINS, WINDOWS, MEASURED, REUSED = "begins", "windows", "measured", "reused"
OUT_OF_TIME, NO_FIGURES = "out of time", "no figures"
# A window must contain several rounds of the requests in flight, or it measures only the first ones.
ROUNDS_IN_A_WINDOW = 4
# {Model Analyzer's tag of a metric, which is also the column of its table: this project's name of the metric}
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
# The longest wait for the load test, which may get no CPU on a busy machine.
STORED_S = 60.0


@dataclass(frozen=True)
class RunPlan:
    """The load test's instructions for Model Analyzer's process, which reads them from a JSON file.

    `points`: the expected number of points. `seconds`: the time for all points together. `most_in_flight`: the highest
    number of requests in flight of a sweep that measures all points; 0 for a search. `requests`: the least number of
    requests in a window. `header`: (name, value) of the header with the secret key that a client needs to load models
    on the server. `logs_requests`: whether perf_analyzer writes the times of each request. `bases`: {model: hash of
    everything that its measurements depend on, except its configuration and the load}. `store`: the folder with the
    measurements of earlier runs. `owner`: the name by which the server's processes are found (see `leftovers`); None if
    the server runs in a container.
    """

    points: int
    seconds: float
    most_in_flight: int
    requests: int
    header: tuple[str, str]
    logs_requests: bool
    bases: dict[str, str]
    store: str
    owner: str | None = None

    def set_window(self, run_config: Any) -> None:
        """Set how many requests perf_analyzer measures in a window, in its options for the point `run_config`."""
        [model] = run_config.model_run_configs()
        rounds = ROUNDS_IN_A_WINDOW * model.perf_config()["concurrency-range"]
        model.perf_config().update_config({"measurement-request-count": max(self.requests, rounds)})

    def key(self, run_config: Any) -> str:
        """Return the SHA-256 under which the measurement of the point `run_config` is stored.

        It covers the hash in `bases`, the configuration of the model, and the load.
        """
        [model] = run_config.model_run_configs()
        configuration = model.model_config_variant().model_config.get_config() | {"name": None}
        load = {name: model.perf_config()[name] for name in LOAD}
        parts = [self.bases[model.model_name()], configuration, load]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def read(self, key: str) -> dict | None:
        """Return the stored measurement of the point with the hash `key`, in the form of Model Analyzer's checkpoint.

        None means that no run has stored the point, or that its file is damaged.
        """
        with contextlib.suppress(OSError, ValueError, KeyError):
            return json.loads(Path(self.store, f"{key}.json").read_text(encoding="utf-8"))["measurement"]
        return None

    def wait_until_stored(self, key: str) -> None:
        """Wait until the load test has stored the point with the hash `key`, for at most STORED_S seconds.

        Before it stores the measurement, the load test reads the memory of the server. So the server must not end
        earlier.
        """
        end = time.monotonic() + STORED_S
        while self.read(key) is None and time.monotonic() < end:
            time.sleep(0.02)


def tell(event: str, encode: Any = None, **content: object) -> None:
    """Print an event for the load test, which reads this process's output: the event's name and `content`, as JSON.

    `encode` is called with each object that JSON does not have, and returns one that JSON has. Without `encode`, such
    an object raises TypeError.
    """
    print(f"{EVENT}{json.dumps([event, content], default=encode)}", flush=True)


def point_of(run_config: Any) -> dict:
    """Return the point that a `run_config` of Model Analyzer describes.

    Its keys are "variant" and "model" (names), "instances", "max_batch_size" (0 without a batch axis), "queue_delay_us"
    (the batching delay) and "concurrency" (requests in flight).
    """
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
    """Return the throughput (1/s) and the latencies (ms) of Model Analyzer's measurement, by the names in FIGURES."""
    return {name: round(measurement.get_non_gpu_metric_value(tag), 4) for tag, name in FIGURES.items()}


class Budget:
    """The time that all points of a load test share, in seconds. The clock starts with the first call of `left_s`.

    A point is a configuration with a number of requests in flight. Each point gets an equal share of the remaining
    time.
    """

    def __init__(self, seconds: float, points: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._points, self._clock = seconds, points, clock
        self._end: float | None = None

    def left_s(self) -> float:
        """Return the remaining seconds for all points. The first call starts the clock."""
        if self._end is None:
            self._end = self._clock() + self._seconds
        return self._end - self._clock()

    def share_s(self) -> float:
        """Return the seconds for the next point to measure: remaining seconds / remaining points.

        Each call reduces the number of remaining points by one.
        """
        share = self.left_s() / max(self._points, 1)
        self.leave_out_point()
        return share

    def leave_out_point(self) -> None:
        """Reduce the number of remaining points by one, since a point need not be measured. The others get its time."""
        self._points -= 1


def in_time(execute: Callable, budget: Budget) -> Callable:
    """Decorate the method `execute`, which measures a point: do not measure with less than LEAST_S seconds in `budget`.

    The decorated method then prints the event OUT_OF_TIME and returns None. Otherwise it prints the event BEGINS first.
    """

    def execute_in_time(self: object, run_config: Any) -> object:
        if budget.left_s() < LEAST_S:
            tell(OUT_OF_TIME)
            return None
        tell(BEGINS, **point_of(run_config))
        return execute(self, run_config)

    return execute_in_time


def unless_kept(
    execute: Callable,
    plan: RunPlan,
    budget: Budget,
    read: Callable[[dict], Any],
    wait: Callable[[str], None] = lambda _: None,
) -> Callable:
    """Decorate the method that measures a point: if an earlier run measured the point, return its measurement.

    If this run has measured the point already, perhaps under another name, the measurement of this run is returned.
    `plan` finds the stored measurements, and a reused point is taken out of `budget`. `read` makes Model Analyzer's
    measurement from a stored dictionary. `wait` is called with the hash of each point after its event is printed (see
    `RunPlan.wait_until_stored`).
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
        wait(key)
        of_this_run[key] = measurement
        return measurement

    return execute_unless_kept


def unless_idle(execute: Callable, most_in_flight: int) -> Callable:
    """Decorate the method `execute`, which measures a point: skip points with fewer requests in flight than instances.

    At such a point, some instances have no request. A point with `most_in_flight` requests, the highest number of the
    sweep, is always measured, so each configuration has a measurement. For a skipped point, the measurement of an
    earlier point is returned, since Model Analyzer stops a configuration after a point without measurement.
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
