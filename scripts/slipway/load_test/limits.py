"""The limits for the choice of a configuration, the check of a load test's measurement against them, its batches."""

from collections.abc import Mapping, Sequence
from typing import Any

# Share (%) of the CPUs' time that other programs may take during a measurement without being told.
MOST_BY_OTHERS = 10
# Share (%) of the CPUs' time from which on what others take is missing.
CROWDED = 90


def holds(row: dict, p99_limit_ms: float, memory_limit_mb: float | None) -> bool:
    """Say whether a measurement is within the limits. None is no limit; unknown memory exceeds every limit."""
    used = counted_memory_mb(row)
    fits = memory_limit_mb is None or (used is not None and used <= memory_limit_mb)
    return row["p99_ms"] <= p99_limit_ms and fits


def counted_memory_mb(row: dict) -> float | None:
    """Return the memory (MB) to limit: the GPU's on a GPU target, else the processes'; None if it was not measured."""
    return row["gpu_memory_mb"] if "gpu_memory_mb" in row else row["memory_mb"]


def configuration_in_words(chosen: Mapping[str, Any]) -> str:
    """Return the instances and the batches of a configuration in words. Triton states 0 without a batch axis."""
    largest = chosen["max_batch_size"]
    return f"{chosen['instances']} instance(s), {f'batches up to {largest}' if largest else 'no batches'}"


def is_crowded(shares: Mapping[str, float | None]) -> bool:
    """Say whether other programs took CPUs from a measurement, since there were hardly any idle ones."""
    return (shares["others_cpu_percent"] or 0) > MOST_BY_OTHERS and (shares["cpus_busy_percent"] or 0) > CROWDED


def is_disturbed(row: Mapping[str, Any]) -> bool:
    """Say whether the windows of a measurement did not agree. Records of earlier versions do not tell."""
    return row.get("verdict") == "disturbed"


def gaps_in_words(not_measured: Sequence[dict], rows: Sequence[dict], minutes: float | None) -> str | None:
    """Return a sentence about the points that a load test did not reach or cut short, else None."""
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
    told = [
        f"{gap}: {', '.join(f'({point_in_words(point)})' for point in points)}"
        for gap, points in gaps.items()
        if points
    ]
    return "; ".join(told) or None


def point_in_words(point: Mapping[str, Any]) -> str:
    """Return a point of the sweep in words."""
    return f"{point['precision']}, {configuration_in_words(point)}, {point['concurrency']} in flight"
