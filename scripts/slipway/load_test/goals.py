"""Choose the best measurement of a load test by a goal, and say how sure the choice is.

A row is a measurement of one configuration with a number of requests in flight. All rows here are within the limits,
and have the accuracy loss as "accuracy_loss". The throughput of a disturbed row is the throughput of its slowest
window.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from slipway.core.setting_options import add_settings
from slipway.core.steadiness import DISTURBED
from slipway.load_test.limits import Limits, counted_memory_mb, is_disturbed, reliable_rate

Row = Mapping[str, Any]
R = TypeVar("R", bound=Row)
CHEAPEST, FASTEST, MOST_ACCURATE = ("cheapest", "fastest", "most_accurate")
# Figures this close to the best count as equal, since repeated measurements differ as much.
EQUAL = 0.10
# The keys of a row that name a configuration. Rows of one configuration differ in their requests in flight.
CONFIGURATION = ("precision", "max_batch_size", "instances", "queue_delay_us")
# The certainty of a choice; the fourth word is DISTURBED.
CLEAR, NOISE, ALONE = "clear", "within the noise", "alone"


@dataclass(frozen=True)
class Goal:
    """The goal of the choice among measured configurations, and the conditions of their costs.

    `name`: `cheapest`, `fastest` or `most_accurate`. `rate`: the inferences/s to serve; without it, costs are at a
    configuration's own throughput. `price_per_hour`: the price of one server. `headroom`: the share (0..1) of each
    server's throughput that stays free at `rate`.
    """

    name: str = CHEAPEST
    rate: float | None = None
    price_per_hour: float | None = None
    headroom: float = 0.0

    def machines(self, row: Row) -> int | None:
        """Return the number of servers with the row's configuration that serve `rate`.

        Return None without `rate`, or if the throughput is 0.
        """
        if not self.rate or (machines := self.machines_at(reliable_rate(row), self.rate)) == math.inf:
            return None
        return int(machines)

    def machines_at(self, throughput: float, rate: float) -> float:
        """Return the number of servers of `throughput` (1/s) that serve `rate` (1/s); infinite for throughput 0."""
        used = throughput * (1 - self.headroom)
        # A rounding error must not add a server: 70 % of 90/s is 62.99999999999999/s. Manifests do the same.
        return max(1, math.ceil(rate / used - 1e-9)) if used else math.inf

    def cost_per_million(self, row: Row) -> float | None:
        """Return the price of a million inferences with the row's configuration.

        Return None without `price_per_hour`, or if the throughput is 0.
        """
        throughput, machines = reliable_rate(row), self.machines(row) or 1
        if self.price_per_hour is None or not throughput:
            return None
        return machines * self.price_per_hour / 3600 / (self.rate or throughput) * 1e6


def choose(rows: Sequence[R], goal: Goal) -> R:
    """Return the best row, a measurement of the load test, by the goal.

    Among equally good rows, return the cheapest; among these, the smallest. The smallest row has the fewest instances,
    then the smallest batches, then the least memory (of the GPU on a GPU target), then the lowest p99.
    """
    return min(_best(rows, goal), key=_size)


def runner_up(rows: Sequence[R], choice: Row, goal: Goal) -> R | None:
    """Return the best row of any other configuration than the chosen row's; None if there is no other configuration."""
    others = [row for row in rows if configuration(row) != configuration(choice)]
    return choose(others, goal) if others else None


def certainty(choice: Row, second: Row | None, goal: Goal) -> str:
    """Return how sure it is that the chosen row is better by the goal than `second`, the best other row.

    "disturbed": other work disturbed the measurement of the chosen row. "alone": `second` is None, as there is only one
    configuration. "within the noise": a repeated measurement could reverse the order. "clear": a repeated measurement
    could not reverse the order.
    """
    if is_disturbed(choice):
        return DISTURBED
    if second is None:
        return ALONE
    return NOISE if _is_equal(choice, second, goal) else CLEAR


def configuration(row: Row) -> tuple:
    """Return the tuple that identifies a row's configuration: the values of the keys in CONFIGURATION.

    The value of a missing key is None: rows of earlier versions of Slipway lack "queue_delay_us", the batching delay.
    """
    return tuple(row.get(name) for name in CONFIGURATION)


def point(row: Row) -> tuple:
    """Return the tuple that identifies a row: the values of its configuration, and its number of requests in flight."""
    return (*configuration(row), row.get("concurrency"))


def interval(row: Row) -> tuple[float, float]:
    """Return (low, high), the bounds (1/s) of the throughput of a row, a measurement of the load test.

    If the capacity was measured, the bounds are the highest rate that held and the lowest rate that broke. Otherwise
    they are the throughputs of the slowest and the fastest window. Without windows, both are the row's throughput.
    """
    if "capacity" in row:
        lower, breaks = reliable_rate(row), row["capacity"]["breaks_at"]
        return lower, max(lower, breaks["sent_per_s"] if breaks and breaks["requests"] else lower)
    windows = row.get("windows_per_s") or [row["throughput_per_s"]]
    return min(windows), max(windows)


def _best(rows: Sequence[R], goal: Goal) -> list[R]:
    """Return the best rows by the goal: all rows that count as equal to the best row."""
    if goal.name == FASTEST:
        # The p99 of each window is unknown, so disturbed rows are considered only if no row is steady.
        steady = [row for row in rows if not is_disturbed(row)] or list(rows)
        lowest = min(row["p99_ms"] for row in steady)
        return _cheapest([row for row in steady if row["p99_ms"] <= lowest * (1 + EQUAL)], goal)
    if goal.name == MOST_ACCURATE:
        least = min(map(_loss, rows))
        return _cheapest([row for row in rows if _loss(row) == least], goal)
    return _cheapest(rows, goal)


def _cheapest(rows: Sequence[R], goal: Goal) -> list[R]:
    """Return the rows that need the fewest servers for the rate in `goal`.

    Without a rate, return the rows whose throughput counts as equal to the highest throughput.
    """
    if goal.rate:
        counts = [goal.machines(row) or math.inf for row in rows]
        return [row for row, count in zip(rows, counts, strict=True) if count == min(counts)]
    best = max(rows, key=lambda row: (reliable_rate(row), row["throughput_per_s"]))
    return [row for row in rows if is_close(row, best) or is_within_noise(row, best)]


def is_close(row: Row, best: Row) -> bool:
    """Say whether the throughput of `row` is at most 10 % below the throughput of `best`."""
    return row is best or reliable_rate(row) >= reliable_rate(best) * (1 - EQUAL) > 0


def is_within_noise(row: Row, best: Row) -> bool:
    """Say whether the upper bound of the throughput of `row` reaches the lower bound of `best` (see `interval`).

    The result is False for a disturbed row, whose windows prove nothing, and for rows of earlier versions, which have
    no windows.
    """
    known = all("capacity" in measurement or measurement.get("windows_per_s") for measurement in (row, best))
    return bool(known) and not is_disturbed(row) and interval(row)[1] >= interval(best)[0]


def _is_equal(choice: Row, second: Row, goal: Goal) -> bool:
    """Say whether `second` could be better than `choice` by the goal if both rows were measured again."""
    if goal.name == MOST_ACCURATE and _loss(choice) != _loss(second):
        return False
    if goal.name == FASTEST:
        # A disturbed row may be faster on a quiet machine, but `choose` did not consider it.
        passed_over = is_disturbed(second) and second["p99_ms"] < choice["p99_ms"]
        lower, higher = sorted((choice["p99_ms"], second["p99_ms"]))
        return passed_over or higher <= lower * (1 + EQUAL)
    if goal.rate:
        fewest = [goal.machines_at(_most(row), goal.rate) for row in (choice, second)]
        most = [goal.machines_at(interval(row)[0], goal.rate) for row in (choice, second)]
        return fewest[1] <= most[0] and fewest[0] <= most[1]
    slower, faster = sorted((choice, second), key=reliable_rate)
    return is_close(slower, faster) or _most(slower) > interval(faster)[0]


def _most(row: Row) -> float:
    """Return the upper bound (1/s) of a row's throughput. It is infinite if the measurement found no upper bound.

    That is so for a disturbed capacity, or if every tried rate held.
    """
    own = row.get("capacity")
    is_open = own and (own["breaks_at"] is None or own["verdict"] == DISTURBED)
    return math.inf if is_open else interval(row)[1]


def _loss(row: Row) -> float:
    """Return the accuracy loss of a row for comparisons: infinite if the loss is unknown."""
    loss = row.get("accuracy_loss")
    return math.inf if loss is None or math.isnan(loss) else loss


def _size(row: Row) -> tuple:
    return row["instances"], row["max_batch_size"], counted_memory_mb(row) or 0, row["p99_ms"]


def pareto_front(rows: Sequence[Row]) -> list[int]:
    """Return the indices of the rows that no other row dominates, in ascending order: the useful trade-offs."""
    return [index for index, row in enumerate(rows) if not any(dominates(other, row) for other in rows)]


def dominates(other: Row, row: Row) -> bool:
    """Say whether `other` has better throughput, p99 or memory than `row`, and is worse in none of these three.

    A disturbed row never dominates a steady row. The throughput of a disturbed row is that of its slowest window.
    Unknown memory counts as infinite.
    """
    if is_disturbed(other) and not is_disturbed(row):
        return False
    theirs, own = _badness(other), _badness(row)
    return theirs != own and all(one <= two for one, two in zip(theirs, own, strict=True))


def _badness(row: Row) -> tuple[float, float, float]:
    memory = counted_memory_mb(row)
    return -reliable_rate(row), row["p99_ms"], math.inf if memory is None else memory


def add_choice(arguments: argparse.ArgumentParser) -> None:
    """Add the options for the choice of a configuration: --accuracy (records), --goal, limits like --p99-limit-ms."""
    arguments.add_argument("--accuracy", type=Path, nargs="+", required=True, help="accuracy records of the engines")
    limits = ("p99_limit_ms", "memory_limit_mb", "min_throughput_per_s", "max_accuracy_loss")
    add_settings(arguments, "load_test", *limits, "goal")


def limits_of(arguments: argparse.Namespace) -> Limits:
    """Return the limits in the parsed options of `add_choice`."""
    return Limits(
        arguments.p99_limit_ms, arguments.memory_limit_mb, arguments.min_throughput_per_s, arguments.max_accuracy_loss
    )
