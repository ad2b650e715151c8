"""Draw the charts of a load test: throughput and memory against latency, and the latencies of a configuration.

A configuration is a precision with an instance count, a maximum batch size and a batching delay. It was measured with
several numbers of requests in flight. `selection` is always the content of selection.json, with the choice and its
limits.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slipway.core.readable import readable
from slipway.load_test.configurations import Configuration, is_chosen, limits_of
from slipway.load_test.limits import counted_memory_mb, is_disturbed, point_in_words
from slipway.report.drawing import Drawing
from slipway.report.formats import milliseconds
from slipway.report.xy_chart import Axis, Point, Series, xy_chart

PERCENTILES = {"p99_ms": "p99", "p95_ms": "p95", "p90_ms": "p90", "p50_ms": "p50"}
# The width of a drawing in a document or a file, and the height of its frame, in units of the drawing.
IN_DOCUMENT: dict[str, Any] = {"width": 640, "height": 150}
# The number of configurations with colours. All further configurations are grey.
COLOURS = 6


def throughput_chart(
    configurations: Sequence[Configuration], selection: Mapping[str, Any], in_document: bool = False
) -> Drawing | None:
    """Return a chart of throughput against p99 latency; None for a single measurement, shown in a table.

    `selection` is selection.json, whose choice and limits are marked. With `in_document`, the chart is for a PDF.
    """
    series = throughput_series(configurations, selection)
    return _against_latency("Throughput against latency", Axis("requests per second"), series, selection, in_document)


def memory_chart(
    configurations: Sequence[Configuration], selection: Mapping[str, Any], in_document: bool = False
) -> Drawing | None:
    """Return a chart of memory (MB) against p99 latency: of the GPU or, on a CPU target, of the processes.

    `selection` is selection.json, whose choice and limits are marked. With `in_document`, the chart is for a PDF.
    Returns None if fewer than two measurements have a memory.
    """
    title, limit = memory_title(configurations), limits_of(selection).memory_mb
    axis = Axis(f"{title} in MB", limit, f"limit {limit or 0:g} MB")
    series = memory_series(configurations, selection)
    return _against_latency(f"{title} against latency", axis, series, selection, in_document)


def throughput_series(configurations: Sequence[Configuration], selection: Mapping[str, Any]) -> list[Series]:
    """Return a series of points (p99 latency in ms, requests/s) for each configuration.

    `selection` is selection.json, whose measurement is marked as chosen.
    """
    return _series(configurations, selection, lambda row: row["throughput_per_s"], "/s")


def memory_series(configurations: Sequence[Configuration], selection: Mapping[str, Any]) -> list[Series]:
    """Return a series of points (p99 latency in ms, MB) for each configuration. Unknown memory is left out.

    `selection` is selection.json, whose measurement is marked as chosen.
    """
    return _series(configurations, selection, counted_memory_mb, " MB")


def memory_title(configurations: Sequence[Configuration]) -> str:
    """Return the title of a memory chart: "GPU memory" or, on a CPU target, "Memory of server and model"."""
    return "GPU memory" if "gpu_memory_mb" in configurations[0].best else "Memory of server and model"


def signs(series: Sequence[Series]) -> str:
    """Return a legend for the marks of the points: a sentence such as "Numbers: requests in flight; ring: chosen.".

    Only marks that are in the chart are explained.
    """
    points = [point for one in series for point in one.points]
    meanings = {
        "ring: chosen": any(point.chosen for point in points),
        "hollow: disturbed": any(point.disturbed for point in points),
        "pale: shorter windows than asked": any(point.shortened for point in points),
        "upright bar: slowest to fastest window": any(point.low is not None for point in points),
        "level bar: interval of p99": any(point.right is not None for point in points),
    }
    shown = [words for words, is_there in meanings.items() if is_there]
    return f"{'; '.join(['Numbers: requests in flight', *shown])}."


def latency_chart(configuration: Configuration) -> Drawing | None:
    """Return a chart of a configuration's latency percentiles by requests in flight; None for a single measurement."""
    if len(configuration.rows) < 2:
        return None
    measured = [name for name in PERCENTILES if configuration.best.get(name) is not None]
    points = {PERCENTILES[name]: _latencies(configuration, name) for name in measured}
    series = [Series(words, of_it, order) for order, (words, of_it) in enumerate(points.items(), 1)]
    in_flight = Axis("", names=[str(row["concurrency"]) for row in configuration.rows])
    title = "Latency in ms by requests in flight"
    return xy_chart(title, in_flight, Axis(""), series, width=IN_DOCUMENT["width"], height=80, heading=title)


def _latencies(configuration: Configuration, name: str) -> list[Point]:
    """Return a point for each measurement: its percentile `name` (ms), such as "p99_ms".

    The label of a p99 point is its value. Other points have no label.
    """
    return [
        Point(
            index,
            row[name],
            label=f"{row[name]:,.1f}" if name == "p99_ms" else "",
            disturbed=is_disturbed(row),
            shortened=bool(row.get("shortened")),
        )
        for index, row in enumerate(configuration.rows)
        if row.get(name) is not None
    ]


def _series(
    configurations: Sequence[Configuration],
    selection: Mapping[str, Any],
    figure: Callable[[Mapping[str, Any]], float | None],
    unit: str,
) -> list[Series]:
    """Return a series for each configuration: the first ones in COLOURS, all others grey, with one common name.

    `selection` is selection.json; its measurement is marked as chosen. figure(measurement) returns the y value in
    `unit`, or None if it is unknown.
    """
    known = {one.words: [row for row in one.rows if figure(row) is not None] for one in configurations}
    known = {words: rows for words, rows in known.items() if rows}
    others, series = len(known) - COLOURS, []
    for order, (words, rows) in enumerate(known.items(), 1):
        has_colour = order <= COLOURS
        points = [_point(row, figure(row) or 0, unit, selection, has_colour) for row in rows]
        name = words if has_colour else f"{others} others" if order == COLOURS + 1 else ""
        series.append(Series(name, points, order if has_colour else 0))
    return series


def _point(row: Mapping[str, Any], value: float, unit: str, selection: Mapping[str, Any], has_label: bool) -> Point:
    windows = (row.get("windows_per_s") if unit == "/s" else None) or [None]
    left, right = row.get("p99_interval_ms") or (None, None)
    words = f"{point_in_words(row)}: {readable(value)}{unit} at p99 {milliseconds(row['p99_ms'])}"
    return Point(
        row["p99_ms"],
        value,
        low=min(windows),
        high=max(windows),
        left=left,
        right=right,
        label=str(row["concurrency"]) if has_label else "",
        hover=f"{words}, disturbed" if is_disturbed(row) else words,
        disturbed=is_disturbed(row),
        shortened=bool(row.get("shortened")),
        chosen=is_chosen(row, selection),
    )


def _against_latency(
    title: str, y: Axis, series: Sequence[Series], selection: Mapping[str, Any], in_document: bool
) -> Drawing | None:
    limit = limits_of(selection).p99_ms
    x = Axis("p99 latency in ms", limit, f"limit {limit or 0:g} ms")
    if in_document:
        return xy_chart(title, x, y, series, **IN_DOCUMENT, heading=title, note=signs(series))
    return xy_chart(title, x, y, series)
