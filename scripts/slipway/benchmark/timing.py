"""Time a function call repeatedly, and summarise the durations."""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 90, 95, 99, 99.9)
# The largest number of samples of one series in a record.
KEPT_SAMPLES = 2000


@dataclass(frozen=True)
class Effort:
    """The time to measure one subject at one batch size: `seconds`, divided evenly among the measured quantities.

    A subject is a baseline or an engine. A slow subject is measured until it has `min_samples` of each quantity, but
    for at most `budget_seconds`. `warmup_seconds` pass before.
    """

    seconds: float
    warmup_seconds: float
    min_samples: int
    budget_seconds: float

    def of_a_round(self, rounds: int) -> "Effort":
        """Return the effort of one of `rounds` rounds: the times and the number of samples are divided by `rounds`."""
        samples = math.ceil(self.min_samples / rounds)
        return Effort(self.seconds / rounds, self.warmup_seconds / rounds, samples, self.budget_seconds / rounds)

    def sample(self, call: Callable[[], object], share: float) -> list[float]:
        """Call `call` repeatedly for `share` (0..1) of `seconds`. Return the duration of each call (ms).

        If there are fewer than `min_samples` calls by then, go on for at most `share` * `budget_seconds` in all.
        """
        return sample_latency(call, share * self.seconds, self.min_samples, share * self.budget_seconds)


def sample_latency(
    call: Callable[[], object], seconds: float, minimum: int, longest_seconds: float = math.inf
) -> list[float]:
    """Call `call` repeatedly, at least once, for `seconds`. Return the duration of each call (ms).

    If there are fewer than `minimum` calls after `seconds`, calling goes on until there are `minimum` calls, or until
    `longest_seconds` have passed.
    """
    samples: list[float] = []
    begin = now = time.perf_counter()
    while not samples or now < begin + seconds or (len(samples) < minimum and now < begin + longest_seconds):
        call()
        end = time.perf_counter()
        samples.append((end - now) * 1e3)
        now = time.perf_counter()
    return samples


def warm_up(call: Callable[[], object], seconds: float) -> int:
    """Call `call` for `seconds` before a measurement, so that allocation, caches and clocks settle.

    Returns the number of calls.
    """
    return len(sample_latency(call, seconds, minimum=1))


def distribution(samples_ms: Sequence[float]) -> dict:
    """Return {"count", "mean_ms", "min_ms", "p50_ms", ..., "p99_9_ms"} of durations in ms.

    A percentile is interpolated between the two samples next to its rank. A percentile is absent if the samples are too
    few: p99 needs 100 samples, p99.9 needs 1000.
    """
    values = np.asarray(samples_ms, dtype=np.float64)
    ranks = [rank for rank in PERCENTILES if is_carried(rank, len(values))]
    return {
        "count": len(values),
        "mean_ms": round(float(values.mean()), 4),
        "min_ms": round(float(values.min()), 4),
        **{
            f"p{rank:g}_ms".replace(".", "_"): round(float(value), 4)
            for rank, value in zip(ranks, np.percentile(values, ranks), strict=True)
        },
    }


def percentile_interval(
    samples: Sequence[float], rank: float, confidence: float = 0.9
) -> tuple[float | None, float | None]:
    """Return (low, high), the interval of a percentile: two of the samples, between which it lies with a probability.

    `rank` is the percentile in percent, `confidence` the probability. The interval comes from order statistics, so it
    holds for any distribution. `low` or `high` is None if the samples are too few to bound the percentile on that side.
    """
    ordered, share, outside = sorted(samples), rank / 100, (1 - confidence) / 2
    count = len(ordered)
    # below[k] is the probability that fewer than k samples are at or below the percentile.
    chances = [math.exp(_log_chance(count, k, share)) for k in range(count + 1)]
    below = [0.0, *itertools.accumulate(chances)]
    low = max((k for k in range(1, count + 1) if below[k] <= outside), default=None)
    high = min((k for k in range(1, count + 1) if 1 - below[k] <= outside), default=None)
    return (None if low is None else ordered[low - 1]), (None if high is None else ordered[high - 1])


def _log_chance(count: int, hits: int, share: float) -> float:
    """Return the logarithm of the binomial probability of `hits` in `count` trials, each with the chance `share`."""
    ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    return ways + hits * math.log(share) + (count - hits) * math.log1p(-share)


def is_carried(rank: float, count: int) -> bool:
    """Say whether `count` samples suffice for the percentile `rank`: at least one lies above it.

    Any number of samples suffices for the median.
    """
    return rank == 50 or count * (100 - rank) >= 100 - 1e-6


def thin(samples: Sequence[float], limit: int = KEPT_SAMPLES) -> list[float]:
    """Return some of the samples for a record, at most `limit`, in order, and rounded to 4 decimals.

    They are evenly spread, with the first and the last included.
    """
    values = np.asarray(samples, dtype=np.float64)
    if len(values) > limit:
        values = values[np.linspace(0, len(values) - 1, limit).round().astype(int)]
    return [round(float(value), 4) for value in values]
