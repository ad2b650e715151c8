"""Choose the configurations whose capacity is measured, and add measured capacities to the rows of a load test.

The capacity is the highest rate of requests that holds the p99 limit, if requests come at random times (an open loop).
The load test itself runs a closed loop: a client sends its next request after an answer. A row is one measurement in
analysis.json, the record of the load test.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.core.steadiness import STEADY
from slipway.load_test.capacity import CLOSE
from slipway.load_test.goals import CHEAPEST, Goal, R, choose, configuration, point
from slipway.load_test.limits import Limits, reliable_rate

Row = Mapping[str, Any]
# The most configurations to measure, and the least throughput of each of them, relative to the best throughput.
MOST, NEAR = 3, 0.75


def contenders(rows: Sequence[R], goal: str) -> list[R]:
    """Return the rows whose capacity is to be measured, each of another configuration, the best row first.

    `rows` are the measurements of the load test within the limits. `goal` is the goal of the choice, such as
    `cheapest`, for which at most MOST rows are returned. For another goal, only the best row is returned, since only
    the goal `cheapest` compares throughputs.
    """
    left = list(rows)
    taken: list[R] = []
    most = max(map(reliable_rate, rows), default=0.0)
    while left and len(taken) < (MOST if goal == CHEAPEST else 1):
        best = choose(left, Goal(goal))
        left = [row for row in left if configuration(row) != configuration(best)]
        if not taken or reliable_rate(best) >= NEAR * most:
            taken.append(best)
    return taken


def needed_rate(row: Mapping[str, Any], measured: Sequence[Mapping[str, Any]], limits: Limits) -> float | None:
    """Return the rate (requests/s) that a configuration must hold to be chosen; None if no rate is required.

    `row` is a measurement of the configuration. `measured` are the results of `capacity.capacity` so far, with the keys
    of their configurations, the best configuration first. Only a configuration that is larger than the best one must
    hold a rate: CLOSE times the capacity of the best one, if that capacity is steady and not below the minimum
    throughput of `limits`. If the larger one holds less, the smaller one is chosen.
    """
    if not measured or measured[0]["verdict"] != STEADY or not (rate := measured[0]["capacity_per_s"]):
        return None
    is_larger = _size(row) > _size(measured[0])
    return CLOSE * rate if is_larger and rate >= (limits.min_throughput_per_s or 0) else None


def _size(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["instances"], row["max_batch_size"]


def with_capacities(rows: Sequence[Row], record: Mapping[str, Any], load_test_sha256: str) -> list[dict]:
    """Return the rows of a load test, with the measured capacity as "capacity" in the rows that have one.

    `record` is capacity.json, the record of measure_capacity.py. A row gets the entry of its "configurations" whose
    search began at this row's point. Other rows of the same configuration get no "capacity". `load_test_sha256` is the
    hash of the load test's record; raises SlipwayError if `record` was made from another load test.
    """
    if record["chosen_from"]["load_test_sha256"] != load_test_sha256:
        raise SlipwayError("capacity.json was measured after another load test than the one here; run snakemake again")
    measured = {point(entry): entry for entry in record["configurations"] if entry["points"]}
    return [{**row, **({"capacity": measured[point(row)]} if point(row) in measured else {})} for row in rows]


def comparable(rows: Sequence[dict], goal: str) -> list[dict]:
    """Return the rows to choose from by a goal, such that all their throughputs can be compared with each other.

    For the goal `cheapest`, these are only the rows with a capacity, if any row has one. So a throughput of the closed
    loop is never compared with a capacity. For another goal, these are all rows.
    """
    with_capacity = [row for row in rows if "capacity" in row] if goal == CHEAPEST else []
    return with_capacity or list(rows)


def as_limited(rows: Sequence[Row]) -> list[dict]:
    """Return the rows for comparison with limits. All rows of a configuration get its "capacity", if it is known.

    Only one row of a configuration has it in `rows`, which are from `with_capacities`.
    """
    known = {configuration(row): row["capacity"] for row in rows if "capacity" in row}
    return [{"capacity": known[configuration(row)], **row} if configuration(row) in known else {**row} for row in rows]


def without_capacity(row: Row) -> dict:
    """Return a row without its "capacity", so that only the figures of the closed loop are left."""
    return {name: value for name, value in row.items() if name != "capacity"}


def of_choice(choice: Row, limited: Sequence[Row]) -> dict | None:
    """Return the capacity of the chosen configuration, without its "points"; None if no capacity was measured.

    `choice` is the chosen row. `limited` are the rows of all configurations, from `as_limited`.
    """
    own = next(row.get("capacity") for row in limited if configuration(row) == configuration(choice))
    return own and {name: value for name, value in own.items() if name != "points"}
