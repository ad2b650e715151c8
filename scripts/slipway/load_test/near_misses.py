"""Say which limits to change, and to which values, if no measurement of a load test holds all limits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway.core.readable import readable
from slipway.load_test.limits import KEYS, Limits, figure_of, point_in_words

# This module only explains an error.
PART_OF_KEYS = False

Row = Mapping[str, Any]
UNITS = {"p99_ms": " ms", "memory_mb": " MB", "min_throughput_per_s": "/s", "max_accuracy_loss": ""}


def what_has_to_give(rows: Sequence[Row], limits: Limits) -> str:
    """Say in words which limits to change, and to which values, since no measurement holds all `limits`.

    `rows` are the measurements of the load test. For each broken limit, the text has the value with which one
    measurement would hold all limits. If changing a single limit never suffices, it also names several limits to change
    together. Of the possible changes, it has the smallest, relative to the limits.
    """
    broken = {item["limit"] for row in rows for item in limits.broken(row)}
    sentences = [_alone(rows, limits, name) for name in KEYS if name in broken]
    if not any(_nearest(rows, limits, name) for name in broken):
        sentences.append(_together(rows, limits))
    return "; ".join(filter(None, sentences))


def _nearest(rows: Sequence[Row], limits: Limits, name: str) -> Row | None:
    """Return the row whose figure is nearest to the limit `name` among the rows that hold all other limits.

    Return None if no row holds them.
    """
    others = replace(limits, **{name: None})
    holding = [row for row in rows if not others.broken(row) and figure_of(row, name) is not None]
    return min(holding, key=lambda row: _excess(row, name, getattr(limits, name)), default=None)


def _alone(rows: Sequence[Row], limits: Limits, name: str) -> str:
    row = _nearest(rows, limits, name)
    if row is None:
        return f"`{KEYS[name]}` alone does not suffice, since every configuration breaks another limit, too"
    figure = figure_of(row, name) or 0.0  # `_nearest` returns only rows whose figure is known
    return (
        f"with `{KEYS[name]}: {settable(name, figure)}` for {readable(getattr(limits, name), 6)} one holds: "
        f"{point_in_words(row)}, with {readable(figure)}{UNITS[name]}"
    )


def _together(rows: Sequence[Row], limits: Limits) -> str:
    known = [row for row in rows if all(item["figure"] is not None for item in limits.broken(row))]
    if not known:
        return "what was not measured, such as memory that was not seen, holds no limit"
    row = min(known, key=lambda row: sum(_excess(row, item["limit"], item["allowed"]) for item in limits.broken(row)))
    settings = [f"`{KEYS[item['limit']]}: {settable(item['limit'], item['figure'])}`" for item in limits.broken(row)]
    return f"with {' and '.join(settings)} one holds: {point_in_words(row)}"


def _excess(row: Row, name: str, limit: float) -> float:
    """Return how far a row's figure is from the limit, as a share of the limit (of the figure, if the limit is 0)."""
    figure = figure_of(row, name) or 0.0
    return abs(figure - limit) / (limit or figure or 1)


def settable(name: str, figure: float) -> str:
    """Return a limit for config.yaml that `figure` holds, as text with three digits. Only a minimum is rounded down.

    `name` is the name of the limit, such as "p99_ms". For a throughput of 0, no minimum can hold, so "null" is
    returned: no limit.
    """
    if name == "min_throughput_per_s" and figure <= 0:
        return "null"
    if not figure or not math.isfinite(figure):
        return f"{figure:g}"
    unit = 10 ** (math.floor(math.log10(abs(figure))) - 2)
    rounded = (math.floor if name == "min_throughput_per_s" else math.ceil)(round(figure / unit, 6)) * unit
    return f"{rounded:.12g}"  # a form for YAML: no commas, no power of ten
