"""The Pareto front of a load test: the measurements that no other one beats in throughput, p99 latency and memory."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.load_test.limits import counted_memory_mb, is_disturbed, reliable_rate


def pareto_front(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the indices of the measurements that no other one dominates, in their order."""
    return [index for index, row in enumerate(rows) if not any(dominates(other, row) for other in rows)]


def dominates(other: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Say whether another measurement is nowhere worse and somewhere better. A disturbed one never beats a steady one.

    Of a disturbed measurement, the slowest window counts. Memory that is not known is the largest.
    """
    if is_disturbed(other) and not is_disturbed(row):
        return False
    theirs, own = _badness(other), _badness(row)
    return theirs != own and all(one <= two for one, two in zip(theirs, own, strict=True))


def _badness(row: Mapping[str, Any]) -> tuple[float, float, float]:
    memory = counted_memory_mb(row)
    return -reliable_rate(row), row["p99_ms"], math.inf if memory is None else memory
