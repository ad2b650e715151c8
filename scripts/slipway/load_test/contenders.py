"""The configurations of a load test whose capacity is measured: the best one by the goal, and its runners-up."""

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.load_test.capacity import STEADY
from slipway.load_test.goals import CHEAPEST, Goal, choose, configuration
from slipway.load_test.limits import Limits, reliable_rate

# How many configurations at most, and the least share of the best throughput that one of them has.
MOST, NEAR = 3, 0.75


def contenders(rows: Sequence[dict], goal: str) -> list[dict]:
    """Return the best rows, each of another configuration, the best first. `rows` are those within the limits.

    Only the goal `cheapest` compares throughputs. For another one, the best row is the only one.
    """
    left, taken = list(rows), []
    most = max(map(reliable_rate, rows), default=0.0)
    while left and len(taken) < (MOST if goal == CHEAPEST else 1):
        best = choose(left, Goal(goal))
        left = [row for row in left if configuration(row) != configuration(best)]
        if not taken or reliable_rate(best) >= NEAR * most:
            taken.append(best)
    return taken


def needed_rate(row: Mapping[str, Any], measured: Sequence[Mapping[str, Any]], limits: Limits) -> float | None:
    """Return the rate (requests/s) that a configuration must hold to be chosen; None if it is not known.

    `measured` are the capacities so far, the best configuration first. A larger configuration has to hold at least its
    capacity, if that is steady and enough for the limits.
    """
    if not measured or measured[0]["verdict"] != STEADY or not (rate := measured[0]["capacity_per_s"]):
        return None
    is_larger = _size(row) > _size(measured[0])
    return rate if is_larger and rate >= (limits.min_throughput_per_s or 0) else None


def _size(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["instances"], row["max_batch_size"]
