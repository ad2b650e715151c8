"""The configurations of a load test whose capacity is measured: the best one by the goal, and its runners-up."""

from collections.abc import Sequence

from slipway.load_test.goals import CHEAPEST, Goal, choose, configuration
from slipway.load_test.limits import reliable_rate

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
