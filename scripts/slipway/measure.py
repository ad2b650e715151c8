"""Timing a callable, and what its samples say."""

import time
from collections.abc import Callable

import numpy as np

PERCENTILES = (50, 90, 95, 99)


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


def summarise(samples_ms: list[float], batch: int) -> dict:
    """Return count, mean, minimum, percentiles (ms) and throughput (items/s) of the latencies of one batch size."""
    values = np.asarray(samples_ms)
    percentiles = np.percentile(values, PERCENTILES)
    return {
        "batch": batch,
        "count": len(samples_ms),
        "mean_ms": round(float(values.mean()), 4),
        "min_ms": round(float(values.min()), 4),
        **{f"p{rank}_ms": round(float(value), 4) for rank, value in zip(PERCENTILES, percentiles, strict=True)},
        "throughput_per_s": round(batch * 1e3 / float(values.mean()), 2),
    }
