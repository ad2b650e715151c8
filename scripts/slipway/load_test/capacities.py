"""The measured capacities of a load test's configurations, beside the rows of its closed loop."""

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.load_test.goals import CHEAPEST, configuration

Row = Mapping[str, Any]


def with_capacities(rows: Sequence[Row], record: Mapping[str, Any], load_test_sha256: str) -> list[dict]:
    """Return the rows, with a "capacity" entry if their configuration was measured in the open loop.

    One row of a configuration has it: the row that its measurement began with. Raises SlipwayError if `record` is of
    another load test.
    """
    if record["chosen_from"]["load_test_sha256"] != load_test_sha256:
        raise SlipwayError("capacity.json was measured after another load test than the one here; run snakemake again")
    measured = {_point(entry): entry for entry in record["configurations"] if entry["points"]}
    return [{**row, **({"capacity": measured[_point(row)]} if _point(row) in measured else {})} for row in rows]


def comparable(rows: Sequence[dict], goal: str) -> list[dict]:
    """Return the rows to choose from. Where the goal is throughput, capacities are not compared with closed loops."""
    with_capacity = [row for row in rows if "capacity" in row] if goal == CHEAPEST else []
    return with_capacity or list(rows)


def as_limited(rows: Sequence[Row]) -> list[dict]:
    """Return the rows for comparisons with limits: each has the capacity of its configuration."""
    known = {configuration(row): row["capacity"] for row in rows if "capacity" in row}
    return [{"capacity": known[configuration(row)], **row} if configuration(row) in known else {**row} for row in rows]


def without_capacity(row: Row) -> dict:
    """Return the row of the closed loop alone."""
    return {name: value for name, value in row.items() if name != "capacity"}


def of_choice(choice: Row, rows: Sequence[Row]) -> dict | None:
    """Return the capacity of the chosen configuration, without its points; None if it was not measured."""
    own = [row["capacity"] for row in rows if "capacity" in row and configuration(row) == configuration(choice)]
    return {name: value for name, value in own[0].items() if name != "points"} if own else None


def _point(row: Row) -> tuple:
    return (*configuration(row), row["concurrency"])
