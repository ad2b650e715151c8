"""The charts of a load test: throughput and memory against latency of all configurations, and the latencies of one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reportlab.graphics.shapes import Drawing

from slipway.load_test.configurations import Configuration, is_chosen, limits_of
from slipway.load_test.limits import counted_memory_mb, is_disturbed
from slipway.report.colours import OTHERS, SERIES
from slipway.report.xy_chart import Axis, Point, Series, xy_chart

PERCENTILES = {"p99_ms": "p99", "p95_ms": "p95", "p90_ms": "p90", "p50_ms": "p50"}


def throughput_chart(configurations: Sequence[Configuration], selection: Mapping[str, Any]) -> Drawing | None:
    """Return throughput against p99 latency; None for a single measurement, which a table shows better."""
    return _against_latency(
        "Throughput against latency",
        _latency_axis(selection),
        Axis("requests per second"),
        throughput_series(configurations, selection),
    )


def memory_chart(configurations: Sequence[Configuration], selection: Mapping[str, Any]) -> Drawing | None:
    """Return memory against p99 latency, as `throughput_chart`; the GPU's memory on a GPU target."""
    limit, title = limits_of(selection).memory_mb, memory_title(configurations)
    return _against_latency(
        f"{title} against latency",
        _latency_axis(selection),
        Axis(f"{title} in MB", limit, f"limit {limit or 0:g} MB"),
        memory_series(configurations, selection),
    )


def throughput_series(configurations: Sequence[Configuration], selection: Mapping[str, Any]) -> list[Series]:
    """Return a series for each configuration, whose points are (p99 latency in ms, requests per second)."""
    return _coloured(
        [(each.words, [_throughput_point(row, selection) for row in each.rows]) for each in configurations]
    )


def memory_series(configurations: Sequence[Configuration], selection: Mapping[str, Any]) -> list[Series]:
    """Return a series for each configuration, whose points are (p99 latency in ms, MB). Unknown memory is left out."""
    known = [(each.words, [row for row in each.rows if counted_memory_mb(row) is not None]) for each in configurations]
    return _coloured([(words, [_memory_point(row, selection) for row in rows]) for words, rows in known if rows])


def memory_title(configurations: Sequence[Configuration]) -> str:
    """Return the words for the memory that counts on the target."""
    return "GPU memory" if "gpu_memory_mb" in configurations[0].best else "Memory of server and model"


def latency_chart(configuration: Configuration) -> Drawing | None:
    """Return the latency percentiles of a configuration by its requests in flight; None for a single measurement."""
    if len(configuration.rows) < 2:
        return None
    measured = {name: words for name, words in PERCENTILES.items() if configuration.best.get(name) is not None}
    series = [
        Series(words, _latencies(configuration, name), colour)
        for (name, words), colour in zip(measured.items(), SERIES, strict=False)
    ]
    in_flight = Axis("", categories=[str(row["concurrency"]) for row in configuration.rows])
    return xy_chart("Latency in ms by requests in flight", in_flight, Axis(""), series, size=(482, 104))


def _latency_axis(selection: Mapping[str, Any]) -> Axis:
    limit = limits_of(selection).p99_ms
    return Axis("p99 latency in ms", limit, f"limit {limit or 0:g} ms")


def _throughput_point(row: Mapping[str, Any], selection: Mapping[str, Any]) -> Point:
    windows = row.get("windows_per_s")
    interval = {"low": min(windows), "high": max(windows)} if windows else {}
    return Point(row["p99_ms"], row["throughput_per_s"], **_look(row, selection), **interval)


def _memory_point(row: Mapping[str, Any], selection: Mapping[str, Any]) -> Point:
    return Point(row["p99_ms"], counted_memory_mb(row) or 0, **_look(row, selection))


def _latencies(configuration: Configuration, name: str) -> list[Point]:
    """Return the points of a percentile; those of the highest one have their value beside them."""
    return [
        Point(
            index,
            row[name],
            label=f"{row[name]:,.1f}" if name == "p99_ms" else "",
            hollow=is_disturbed(row),
            square=bool(row.get("shortened")),
        )
        for index, row in enumerate(configuration.rows)
        if row.get(name) is not None
    ]


def _look(row: Mapping[str, Any], selection: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": f"{row['concurrency']}",
        "hollow": is_disturbed(row),
        "square": bool(row.get("shortened")),
        "ringed": is_chosen(row, selection),
    }


def _coloured(points: Sequence[tuple[str, list[Point]]]) -> list[Series]:
    """Return a series for each name and its points. Those beyond the best ones are grey, and share one name."""
    best = [Series(words, found, colour) for (words, found), colour in zip(points, SERIES, strict=False)]
    others = [[replace(point, label="") for point in found] for _, found in points[len(SERIES) :]]
    return [
        *best,
        *(Series("" if index else f"{len(others)} others", found, OTHERS) for index, found in enumerate(others)),
    ]


def _against_latency(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> Drawing | None:
    points = [point for each in series for point in each.points]
    return xy_chart(title, x, y, series, note=_note(points)) if len(points) > 1 else None


def _note(points: Sequence[Point]) -> str:
    """Return the meaning of the signs that the points have."""
    signs = {
        "ring: chosen": any(point.ringed for point in points),
        "hollow: disturbed": any(point.hollow for point in points),
        "square: shorter windows than asked": any(point.square for point in points),
        "bar: slowest to fastest window": any(point.low is not None for point in points),
    }
    return "; ".join(["Numbers: requests in flight", *(words for words, is_there in signs.items() if is_there)]) + "."
