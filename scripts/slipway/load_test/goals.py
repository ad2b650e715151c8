"""Choose among the measurements of a load test, all within the limits, by a goal; say how sure the choice is.

A measurement (row) has its accuracy loss as "accuracy_loss". Of a disturbed measurement, only the slowest window
counts.
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
    """The goal of the choice. Costs are at `rate` (inferences/s) if it is stated, or at a configuration's throughput.

    At a rate, the share `headroom` of each server's throughput stays free.
    """

    name: str = CHEAPEST
    rate: float | None = None
    price_per_hour: float | None = None
    headroom: float = 0.0

    def machines(self, row: Row) -> int | None:
        """Return the number of servers that `rate` takes; None without a rate, or if the throughput is not known."""
        if not self.rate or (machines := self.machines_at(reliable_rate(row), self.rate)) == math.inf:
            return None
        return int(machines)

    def machines_at(self, throughput: float, rate: float) -> float:
        """Return the number of servers of a throughput (1/s) that a rate (1/s) takes; infinite without throughput."""
        used = throughput * (1 - self.headroom)
        # As for the replicas of manifests, a rounding error is no server: 70 % of 90/s are 62.99999999999999/s.
        return max(1, math.ceil(rate / used - 1e-9)) if used else math.inf

    def cost_per_million(self, row: Row) -> float | None:
        """Return the price of a million inferences; None without a price, or if the throughput is not known."""
        throughput, machines = reliable_rate(row), self.machines(row) or 1
        if self.price_per_hour is None or not throughput:
            return None
        return machines * self.price_per_hour / 3600 / (self.rate or throughput) * 1e6


def choose(rows: Sequence[R], goal: Goal) -> R:
    """Return the best row by the goal. Of equally good rows, the cheapest; of equally cheap rows, the smallest.

    Small means few instances, then small batches, then little memory (the GPU's on a GPU target), then a low p99.
    """
    return min(_best(rows, goal), key=_size)


def runner_up(rows: Sequence[R], choice: Row, goal: Goal) -> R | None:
    """Return the best row of the other configurations; None if there is none."""
    others = [row for row in rows if configuration(row) != configuration(choice)]
    return choose(others, goal) if others else None


def certainty(choice: Row, second: Row | None, goal: Goal) -> str:
    """Return how sure it is that the chosen row is better than the second by the goal.

    "disturbed": other work disturbed the chosen row's measurement. "alone": there is no second row. Else "clear" or
    "within the noise".
    """
    if is_disturbed(choice):
        return DISTURBED
    if second is None:
        return ALONE
    return NOISE if _is_equal(choice, second, goal) else CLEAR


def configuration(row: Row) -> tuple:
    """Return the values that a row has for the keys in CONFIGURATION; None for a key that the row lacks.

    Rows of earlier versions of Slipway lack "queue_delay_us", the batching delay.
    """
    return tuple(row.get(name) for name in CONFIGURATION)


def point(row: Row) -> tuple:
    """Return the values that name a measurement: the values of its configuration, and its requests in flight."""
    return (*configuration(row), row.get("concurrency"))


def interval(row: Row) -> tuple[float, float]:
    """Return the bounds (1/s) of the throughput to count on.

    If the capacity was measured, they are the bounds of the capacity. Otherwise they are the throughputs of the slowest
    and the fastest window. Without windows, both are the throughput of the whole measurement.
    """
    if "capacity" in row:
        lower, breaks = reliable_rate(row), row["capacity"]["breaks_at"]
        return lower, max(lower, breaks["sent_per_s"] if breaks and breaks["requests"] else lower)
    windows = row.get("windows_per_s") or [row["throughput_per_s"]]
    return min(windows), max(windows)


def _best(rows: Sequence[R], goal: Goal) -> list[R]:
    """Return the rows that are equally good by the goal."""
    if goal.name == FASTEST:
        # How far the p99 of the windows are apart is not known, so a disturbed row is the last to be taken.
        steady = [row for row in rows if not is_disturbed(row)] or list(rows)
        lowest = min(row["p99_ms"] for row in steady)
        return _cheapest([row for row in steady if row["p99_ms"] <= lowest * (1 + EQUAL)], goal)
    if goal.name == MOST_ACCURATE:
        least = min(map(_loss, rows))
        return _cheapest([row for row in rows if _loss(row) == least], goal)
    return _cheapest(rows, goal)


def _cheapest(rows: Sequence[R], goal: Goal) -> list[R]:
    """Return the rows that need the fewest servers for the rate. Without a rate, return rows of equal throughput."""
    if goal.rate:
        counts = [goal.machines(row) or math.inf for row in rows]
        return [row for row, count in zip(rows, counts, strict=True) if count == min(counts)]
    best = max(rows, key=lambda row: (reliable_rate(row), row["throughput_per_s"]))
    return [row for row in rows if is_close(row, best) or is_within_noise(row, best)]


def is_close(row: Row, best: Row) -> bool:
    """Say whether the throughput of a row is within 10 % of the best."""
    return row is best or reliable_rate(row) >= reliable_rate(best) * (1 - EQUAL) > 0


def is_within_noise(row: Row, best: Row) -> bool:
    """Say whether a steady row's fastest window reaches the slowest window of the best row.

    The windows of a disturbed row differ because little is known of it, so they do not count. Records of earlier
    versions have no windows.
    """
    known = all("capacity" in measurement or measurement.get("windows_per_s") for measurement in (row, best))
    return bool(known) and not is_disturbed(row) and interval(row)[1] >= interval(best)[0]


def _is_equal(choice: Row, second: Row, goal: Goal) -> bool:
    """Say whether two rows could change places by the goal if they were measured again."""
    if goal.name == MOST_ACCURATE and _loss(choice) != _loss(second):
        return False
    if goal.name == FASTEST:
        # A disturbed one may be faster on a quiet machine, and was passed over.
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
    """Return the upper bound (1/s) of a row's throughput; infinite for a capacity that is disturbed or open above."""
    own = row.get("capacity")
    is_open = own and (own["breaks_at"] is None or own["verdict"] == DISTURBED)
    return math.inf if is_open else interval(row)[1]


def _loss(row: Row) -> float:
    """Return the accuracy loss; one that is not known is the largest."""
    loss = row.get("accuracy_loss")
    return math.inf if loss is None or math.isnan(loss) else loss


def _size(row: Row) -> tuple:
    return row["instances"], row["max_batch_size"], counted_memory_mb(row) or 0, row["p99_ms"]


def pareto_front(rows: Sequence[Row]) -> list[int]:
    """Return the indices of the measurements that no other one dominates, in their order."""
    return [index for index, row in enumerate(rows) if not any(dominates(other, row) for other in rows)]


def dominates(other: Row, row: Row) -> bool:
    """Say whether another measurement is nowhere worse and somewhere better.

    A disturbed measurement never dominates a steady one, and only its slowest window counts. Memory that is not known
    is the largest.
    """
    if is_disturbed(other) and not is_disturbed(row):
        return False
    theirs, own = _badness(other), _badness(row)
    return theirs != own and all(one <= two for one, two in zip(theirs, own, strict=True))


def _badness(row: Row) -> tuple[float, float, float]:
    memory = counted_memory_mb(row)
    return -reliable_rate(row), row["p99_ms"], math.inf if memory is None else memory


def add_choice(arguments: argparse.ArgumentParser) -> None:
    """Add the options that say which of the measured configurations is best: accuracy records, limits, goal."""
    arguments.add_argument("--accuracy", type=Path, nargs="+", required=True, help="accuracy records of the engines")
    limits = ("p99_limit_ms", "memory_limit_mb", "min_throughput_per_s", "max_accuracy_loss")
    add_settings(arguments, "load_test", *limits, "goal")


def limits_of(arguments: argparse.Namespace) -> Limits:
    """Return the limits of the parsed options."""
    return Limits(
        arguments.p99_limit_ms, arguments.memory_limit_mb, arguments.min_throughput_per_s, arguments.max_accuracy_loss
    )
