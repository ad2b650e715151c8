"""Group the measurements of a load test by configuration, the best configuration first.

The measurements (rows) of one configuration differ in the number of requests in flight. The selection is
selection.json, the record of the choice that choose_configuration.py made among them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from slipway.load_test.goals import CHEAPEST, FASTEST, MOST_ACCURATE, configuration, point
from slipway.load_test.limits import Limits, configuration_in_words, is_disturbed, reliable_rate

Row = Mapping[str, Any]
# {goal: the order of the configurations in words}
ORDERS = {
    CHEAPEST: "the most throughput first",
    FASTEST: "the lowest p99 first",
    MOST_ACCURATE: "the least loss of accuracy first",
}
# {limit: the remark on a measurement that breaks it}
REMARKS = {
    "p99_ms": "p99 above the limit",
    "memory_mb": "memory above the limit",
    "min_throughput_per_s": "throughput below the limit",
    "max_accuracy_loss": "accuracy loss above the limit",
}

# {limit: the figure that it limits}, for figures that can be unknown
UNKNOWN = {"memory_mb": "memory", "max_accuracy_loss": "accuracy loss", "min_throughput_per_s": "capacity"}


@dataclass(frozen=True)
class Configuration:
    """One configuration of the load test: a precision, an instance count, a maximum batch size and a batching delay.

    `rows` are its measurements, sorted by the number of requests in flight. `best` is the measurement that represents
    the configuration in tables (see `ranked`).
    """

    rows: Sequence[Row]
    best: Row

    @property
    def words(self) -> str:
        """Return the configuration in words, such as "fp16, 2 instances, batches up to 8"."""
        return f"{self.best['precision']}, {configuration_in_words(self.best)}"


def ranked(rows: Sequence[Row], selection: Mapping[str, Any]) -> list[Configuration]:
    """Return the configurations of a load test, the best first. Configurations that break limits come last.

    `rows` are its measurements. `selection` is selection.json, whose goal decides which configuration is better. `best`
    of a configuration is the chosen measurement, or its best measurement within the limits. If no measurement is within
    the limits, `best` is the measurement with the lowest p99 latency.
    """
    rank = _rank(selection)
    groups: dict[tuple, list[Row]] = {}
    for row in sorted(rows, key=itemgetter("concurrency")):
        groups.setdefault(configuration(row), []).append(row)
    configurations = [Configuration(group, _best(group, selection, rank)) for group in groups.values()]
    return sorted(configurations, key=lambda group: (bool(broken(group.best, selection)), rank(group.best)))


def goal_of(selection: Mapping[str, Any]) -> str:
    """Return the goal of a selection, selection.json: "cheapest", "fastest" or "most_accurate".

    A selection of an earlier version has no goal. It counts as `cheapest`.
    """
    return selection.get("goal", {}).get("name", CHEAPEST)


def limits_of(selection: Mapping[str, Any]) -> Limits:
    """Return the limits under which a selection, the content of selection.json, was made."""
    return Limits(**selection["limits"])


def broken(row: Row, selection: Mapping[str, Any]) -> list[dict]:
    """Return the limits of a selection that a measurement of the load test breaks, as dictionaries of `Limits.broken`.

    Each has "limit" (its name, such as "p99_ms"), "allowed" (its value) and "figure" (the measured value). `selection`
    is selection.json, which has the accuracy losses of the engines, too.
    """
    return limits_of(selection).broken({**row, "accuracy_loss": _loss(row, selection)})


def is_chosen(row: Row, selection: Mapping[str, Any]) -> bool:
    """Return whether a measurement of the load test is the one that the selection, selection.json, chose."""
    return point(row) == point(selection["measured"])


def remarks(row: Row, selection: Mapping[str, Any]) -> list[str]:
    """Return the remarks on a measurement for a table: "chosen", the limits that it breaks, its disturbances.

    `row` is a measurement of the load test, `selection` is selection.json.
    """
    doubts = {
        "disturbed": is_disturbed(row),
        "short windows": row.get("shortened"),
        "GPU throttled": (row.get("gpu_state") or {}).get("throttled"),
    }
    return [
        *(["chosen"] if is_chosen(row, selection) else []),
        *(
            REMARKS[limit["limit"]] + (", within the noise" if limit.get("within_noise") else "")
            if limit["figure"] is not None
            else f"{UNKNOWN[limit['limit']]} not measured"
            for limit in broken(row, selection)
        ),
        *(words for words, holds in doubts.items() if holds),
    ]


def _best(rows: Sequence[Row], selection: Mapping[str, Any], rank: Callable[[Row], tuple]) -> Row:
    within = [row for row in rows if not broken(row, selection)]
    if chosen := [row for row in within if is_chosen(row, selection)]:
        return chosen[0]
    return min(within, key=rank) if within else min(rows, key=lambda row: row["p99_ms"])


def _rank(selection: Mapping[str, Any]) -> Callable[[Row], tuple]:
    """Return a sort key for measurements, by the goal in selection.json: a better measurement has a lower value."""
    goal = goal_of(selection)
    if goal == FASTEST:
        return lambda row: (row["p99_ms"], -reliable_rate(row))
    if goal == MOST_ACCURATE:
        # An unknown loss counts as infinite.
        return lambda row: (math.inf if (loss := _loss(row, selection)) is None else loss, -reliable_rate(row))
    return lambda row: (-reliable_rate(row), -row["throughput_per_s"])


def _loss(row: Row, selection: Mapping[str, Any]) -> float | None:
    return selection.get("accuracy_loss", {}).get(row["precision"], {}).get("loss")
