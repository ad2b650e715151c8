"""The limits for the choice of a configuration, and the figures of a measurement that are compared with them.

A row is a measurement of the load test, one of "measurements" in analysis.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.core.readable import readable
from slipway.core.steadiness import DISTURBED

# Share (%) of the CPUs' time that other programs may take during a measurement without a notice.
MOST_BY_OTHERS = 10
# Above this share (%) of busy CPU time, other programs slow the measurement down.
CROWDED = 90


# {limit: the key of config.yaml that sets it}
KEYS = {
    "p99_ms": "load_test.p99_limit_ms",
    "memory_mb": "load_test.memory_limit_mb",
    "min_throughput_per_s": "load_test.min_throughput_per_s",
    "max_accuracy_loss": "load_test.max_accuracy_loss",
}


@dataclass(frozen=True)
class Limits:
    """The limits of `load_test` in config.yaml that a configuration must hold; None is no limit.

    `memory_mb` limits the memory of the GPU or, on a CPU target, of the processes. `min_throughput_per_s` is in
    inferences/s. `max_accuracy_loss` limits the "loss" of `accuracy_loss`.
    """

    p99_ms: float | None = None
    memory_mb: float | None = None
    min_throughput_per_s: float | None = None
    max_accuracy_loss: float | None = None

    def broken(self, row: Mapping[str, Any]) -> list[dict]:
        """Return {"limit" (its name), "allowed" (its value), "figure"} of each limit that a measurement breaks.

        `row` is a measurement of the load test, with "accuracy_loss" if this is limited. An unknown figure (None)
        breaks its limit. The figure of the throughput is `reliable_rate`. If the limit of p99 lies within the interval
        of the measured p99, the entry also has "within_noise": True.
        """
        allowed = {name: value for name, value in vars(self).items() if value is not None}
        figures = {name: figure_of(row, name) for name in allowed}
        return [
            {"limit": name, "allowed": limit, "figure": figures[name]}
            | ({"within_noise": True} if name == "p99_ms" and is_near(row, limit) else {})
            for name, limit in allowed.items()
            if (figure := figures[name]) is None or beyond(name, figure, limit)
        ]


def is_near(row: Mapping[str, Any], p99_limit_ms: float) -> bool:
    """Say whether the p99 limit lies within the interval of a measurement's p99, [low, high] in "p99_interval_ms".

    If so, a second measurement could be on the other side of the limit. An unknown upper bound of the interval is
    replaced by the measured p99. Without an interval, the result is False.
    """
    if not row.get("p99_interval_ms"):
        return False
    low, high = row["p99_interval_ms"]
    return (low is None or low <= p99_limit_ms) and p99_limit_ms <= (row["p99_ms"] if high is None else high)


def beyond(name: str, figure: float, limit: float) -> bool:
    """Say whether a figure breaks the limit named `name`. NaN always breaks it.

    The limit is a minimum for "min_throughput_per_s", and a maximum for any other name, such as "p99_ms".
    """
    return not (figure >= limit if name == "min_throughput_per_s" else figure <= limit)


def breaks_still(entry: Mapping[str, Any], limits: Mapping[str, float | None]) -> bool:
    """Say whether an engine that an earlier load test left out would be left out under the present limits, too.

    `entry` is the engine's entry of `coarse_filter.left_out`. `limits` are {"p99_ms", "min_throughput_per_s"}; None is
    no limit.
    """
    limit = limits.get(entry["limit"])
    return limit is not None and beyond(entry["limit"], entry["figure"], limit)


def left_out_in_words(entry: Mapping[str, Any]) -> str:
    """Return why an engine was left out, such as "fp32 is not load-tested: unloaded p99 12.3 breaks p99_ms 10".

    `entry` is the engine's entry of `coarse_filter.left_out`.
    """
    return (
        f"{entry['precision']} is not load-tested: {entry['quantity']} {readable(entry['figure'])} breaks "
        f"{entry['limit']} {readable(entry['allowed'], 6)}"
    )


def figure_of(row: Mapping[str, Any], limit: str) -> float | None:
    """Return the figure of a row that is compared with the limit of this name, such as "p99_ms"; None if unknown."""
    if limit == "min_throughput_per_s":
        is_unknown = "capacity" in row and row["capacity"]["capacity_per_s"] is None
        return None if is_unknown and row["capacity"]["limited_by"] else reliable_rate(row)
    if limit == "memory_mb":
        return counted_memory_mb(row)
    return row.get("accuracy_loss") if limit == "max_accuracy_loss" else row[limit]


def reliable_rate(row: Mapping[str, Any]) -> float:
    """Return the throughput (inferences/s) of a row, a measurement of the load test, on which decisions are based.

    It is the capacity, if that was measured; 0 if no rate held. Otherwise it is the throughput of the load test or, if
    the measurement was disturbed, of the slowest window, so that noise gives no advantage. It is 0 if a disturbed
    measurement has no windows.
    """
    if "capacity" in row:
        return row["capacity"]["capacity_per_s"] or 0.0
    if not is_disturbed(row):
        return row["throughput_per_s"]
    return min([*(row.get("windows_per_s") or [0.0]), row["throughput_per_s"]])


def counted_memory_mb(row: Mapping[str, Any]) -> float | None:
    """Return the memory (MB) of a row that `memory_mb` limits: of the GPU or, on a CPU target, of the processes.

    Return None if it is unknown.
    """
    return row["gpu_memory_mb"] if "gpu_memory_mb" in row else row["memory_mb"]


def configuration_in_words(chosen: Mapping[str, Any]) -> str:
    """Return a configuration in words, such as "2 instances, batches up to 8 that wait for 100 µs".

    `chosen` has "instances", "max_batch_size" (0 if the model has no batch axis) and "queue_delay_us" (the batching
    delay, which records of earlier versions lack).
    """
    largest, delay = chosen["max_batch_size"], chosen.get("queue_delay_us")
    batches = f"batches up to {largest}" if largest else "no batches"
    waiting = f" that wait for {delay} µs" if delay else ""
    instances = chosen["instances"]
    return f"{instances} instance{'' if instances == 1 else 's'}, {batches}{waiting}"


def is_crowded(shares: Mapping[str, float | None]) -> bool:
    """Say whether other programs slowed a measurement: they took CPU time, and hardly any CPU time was idle.

    `shares` has the percentages of `Interference.figures`; None counts as 0.
    """
    return (shares["others_cpu_percent"] or 0) > MOST_BY_OTHERS and (shares["cpus_busy_percent"] or 0) > CROWDED


def is_disturbed(row: Mapping[str, Any]) -> bool:
    """Say whether the verdict of a measurement is "disturbed", so that its figures are uncertain."""
    return row["verdict"] == DISTURBED


def gaps_in_words(not_measured: Sequence[dict], rows: Sequence[dict], minutes: float | None) -> str | None:
    """Return in words which points of a load test were not measured, cut short or disturbed; None if there are none.

    `not_measured` are the missing points (see `Sweep.unmeasured`), `rows` the measurements. `minutes` is
    `load_test.minutes`, the limit of the time, or None without a limit.
    """
    bound = f"`load_test.minutes` ({minutes:g})" if minutes else "the time that each point has"
    gaps = {
        f"not measured, since {bound} did not suffice or perf_analyzer had no figures": not_measured,
        f"measured in shorter windows than asked, to hold {bound}": [row for row in rows if row.get("shortened")],
        "disturbed": list(filter(is_disturbed, rows)),
        f"measured while other programs took more than {MOST_BY_OTHERS} % of the CPUs": [
            row for row in rows if (row.get("others_cpu_percent") or 0) > MOST_BY_OTHERS
        ],
        "measured while the GPU reduced its clocks": [
            row for row in rows if (row.get("gpu_state") or {}).get("throttled")
        ],
    }
    sentences = [f"{gap}: {_points_in_words(points, rows)}" for gap, points in gaps.items() if points]
    return "; ".join(sentences) or None


def _points_in_words(points: Sequence[dict], rows: Sequence[dict]) -> str:
    """Return points in words; if they are all measured points (`rows`), return only their number."""
    if len(points) > 1 and points == rows:
        return f"all {len(points)} points"
    return ", ".join(f"({point_in_words(point)})" for point in points)


def point_in_words(point: Mapping[str, Any]) -> str:
    """Return a point in words, such as "fp16, 2 instances, batches up to 8, 16 in flight".

    A point has "precision", the keys of `configuration_in_words`, and "concurrency" (requests in flight).
    """
    return f"{point['precision']}, {configuration_in_words(point)}, {point['concurrency']} in flight"
