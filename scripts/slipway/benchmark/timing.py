"""Timing a callable, and what its samples say."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 90, 95, 99, 99.9)
# How many samples of one series a record keeps.
KEPT_SAMPLES = 2000
# A load average above so much a core is not of the workflow's own jobs, which run before a benchmark.
BUSY = 1.5


@dataclass(frozen=True)
class Effort:
    """How long one subject is measured at one batch size: `seconds` in all, shared evenly by what is measured."""

    seconds: float
    warmup_seconds: float
    min_samples: int


def disturbance(environment: dict) -> str | None:
    """Return in words that the machine was busy before a benchmark, whose record has this environment; else None."""
    load, threads = environment["load_average_1min"], environment["threads"]
    if load <= BUSY * threads:
        return None
    return f"the machine was busy before (load average {load:.1f} on {threads} cores): measure again on a quiet one"


def sample_latency(call: Callable[[], object], seconds: float, minimum: int) -> list[float]:
    """Call again and again for `seconds`, at least `minimum` times; return each duration in milliseconds."""
    samples = []
    end = time.perf_counter() + seconds
    while len(samples) < minimum or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        samples.append((time.perf_counter() - start) * 1e3)
    return samples


def warm_up(call: Callable[[], object], seconds: float) -> int:
    """Call for `seconds`, at least twice, so that allocation, code caches and clocks settle; return how many calls."""
    return len(sample_latency(call, seconds, minimum=2))


def distribution(samples_ms: Sequence[float]) -> dict:
    """Return count, mean, minimum and percentiles (p50 .. p99.9, as p99_9_ms) of durations in milliseconds.

    A percentile lies between the two samples next to its rank. So p99.9 of fewer than a thousand samples says little
    more than their maximum, and p99 of fewer than a hundred likewise: `count` tells.
    """
    values = np.asarray(samples_ms, dtype=np.float64)
    percentiles = np.percentile(values, PERCENTILES)
    return {
        "count": len(values),
        "mean_ms": round(float(values.mean()), 4),
        "min_ms": round(float(values.min()), 4),
        **{_name(rank): round(float(value), 4) for rank, value in zip(PERCENTILES, percentiles, strict=True)},
    }


def summarise(samples_ms: Sequence[float], batch: int) -> dict:
    """Return the distribution of the latencies of one batch size, and the throughput (items/s) of calls in a row."""
    found = distribution(samples_ms)
    return {"batch": batch, **found, "throughput_per_s": round(batch * 1e3 / float(np.mean(samples_ms)), 2)}


def thin(samples: Sequence[float], limit: int = KEPT_SAMPLES) -> list[float]:
    """Return at most `limit` samples in their order, spread evenly over it, first and last included, to 4 decimals."""
    kept = np.asarray(samples, dtype=np.float64)
    if len(kept) > limit:
        kept = kept[np.linspace(0, len(kept) - 1, limit).round().astype(int)]
    return [round(float(value), 4) for value in kept]


def _name(rank: float) -> str:
    return f"p{rank:g}_ms".replace(".", "_")
