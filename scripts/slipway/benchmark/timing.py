"""Time a callable, and summarise its samples."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 90, 95, 99, 99.9)
# The largest number of samples of one series in a record.
KEPT_SAMPLES = 2000
# The load average per core that other jobs of the workflow, before a benchmark, do not exceed.
BUSY = 1.5


@dataclass(frozen=True)
class Effort:
    """The effort for one subject at one batch size: `seconds` in all, divided evenly among the measured quantities."""

    seconds: float
    warmup_seconds: float
    min_samples: int


def disturbance(environment: dict) -> str | None:
    """Return a sentence if the machine was busy before a benchmark, else None, from the record of its `environment`."""
    load, threads = environment["load_average_1min"], environment["threads"]
    if load <= BUSY * threads:
        return None
    return f"the machine was busy before (load average {load:.1f} on {threads} cores): measure again on a quiet one"


def sample_latency(call: Callable[[], object], seconds: float, minimum: int) -> list[float]:
    """Call repeatedly for `seconds`, at least `minimum` times. Return each duration (ms)."""
    samples = []
    end = time.perf_counter() + seconds
    while len(samples) < minimum or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        samples.append((time.perf_counter() - start) * 1e3)
    return samples


def warm_up(call: Callable[[], object], seconds: float) -> int:
    """Call for `seconds`, at least twice, so that allocation, caches and clocks settle. Return the number of calls."""
    return len(sample_latency(call, seconds, minimum=2))


def distribution(samples_ms: Sequence[float]) -> dict:
    """Return count, mean, minimum and percentiles (p50 .. p99.9, as p99_9_ms) of durations in ms.

    A percentile is interpolated between the two samples next to its rank. So p99.9 of fewer than 1000 samples, or p99
    of fewer than 100, is close to their maximum: see `count`.
    """
    values = np.asarray(samples_ms, dtype=np.float64)
    percentiles = np.percentile(values, PERCENTILES)
    return {
        "count": len(values),
        "mean_ms": round(float(values.mean()), 4),
        "min_ms": round(float(values.min()), 4),
        **{
            f"p{rank:g}_ms".replace(".", "_"): round(float(value), 4)
            for rank, value in zip(PERCENTILES, percentiles, strict=True)
        },
    }


def thin(samples: Sequence[float], limit: int = KEPT_SAMPLES) -> list[float]:
    """Return at most `limit` samples in order, evenly spread with first and last included, rounded to 4 decimals."""
    values = np.asarray(samples, dtype=np.float64)
    if len(values) > limit:
        values = values[np.linspace(0, len(values) - 1, limit).round().astype(int)]
    return [round(float(value), 4) for value in values]
