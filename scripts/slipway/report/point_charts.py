"""Draw points in two dimensions, with intervals, limits and series; and the course of a figure over runs."""

from dataclasses import dataclass, field

from markupsafe import Markup

from slipway.report.bar_charts import WIDTH, name_of
from slipway.report.scales import Scale, close_up, fitted, number
from slipway.report.svg import Drawing

_LEFT, _RIGHT, _TOP, _HEIGHT, _BELOW = 52, 14, 26, 230, 42


@dataclass(frozen=True)
class Point:
    """One point. `low` and `high` are the interval of y, None if unknown."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    hover: str = ""
    disturbed: bool = False
    chosen: bool = False


@dataclass(frozen=True)
class Series:
    """Points of one kind: `number` is that of their colour and mark. `lines` are the indices of joined points."""

    name: str
    points: list[Point]
    number: int
    lines: list[list[int]] = field(default_factory=list)


def points(title: str, x_name: str, y_name: str, series: list[Series], limit: float | None = None) -> Markup | None:
    """Return points as an <svg> element; None if there is only one. `limit` is a value of x that must hold."""
    every = [point for each in series for point in each.points]
    if len(every) < 2:
        return None
    bottom = _TOP + _HEIGHT
    xs, tops = [point.x for point in every], [max(point.y, point.high or 0) for point in every]
    across = fitted(min(xs), max(xs), _LEFT, WIDTH - _RIGHT)
    up = fitted(min(point.y for point in every), max(tops), bottom, _TOP)
    rows = (len(series) + 1 + 3) // 4
    told = (
        f"{len(every)} points, {y_name} against {x_name}. {'; '.join(point.hover for point in every if point.chosen)}"
    )
    drawing = Drawing(name_of(title, series), title, told, WIDTH, bottom + _BELOW + 20 * rows)
    _axes(drawing, across, up, bottom)
    drawing.text(0, 12, y_name, "tick")
    drawing.text(WIDTH - _RIGHT, bottom + 32, x_name, "tick", "end")
    if limit is not None and across.low < limit <= across.high:
        drawing.line(across(limit), _TOP, across(limit), bottom, "limit", f"limit: {number(limit)}")
        drawing.text(across(limit) - 4, _TOP + 12, f"limit {number(limit)}", "tick halo", "end")
    for each in series:
        _draw_series(drawing, each, across, up)
    _legend(drawing, [(each.name, each.number) for each in series], any(p.chosen for p in every), bottom + _BELOW)
    return drawing.markup()


def _axes(drawing: Drawing, across: Scale, up: Scale, bottom: float) -> None:
    for tick in up.ticks:
        drawing.line(_LEFT, up(tick), WIDTH - _RIGHT, up(tick), "grid")
        drawing.text(_LEFT - 6, up(tick) + 4, number(tick), "tick", "end")
    last = -100.0
    for tick in across.ticks:
        drawing.line(across(tick), _TOP, across(tick), bottom, "grid")
        if across(tick) - last > 34:
            drawing.text(across(tick), bottom + 16, number(tick), "tick", "middle")
            last = across(tick)


def _draw_series(drawing: Drawing, series: Series, across: Scale, up: Scale) -> None:
    for line in series.lines:
        drawing.path([(across(series.points[i].x), up(series.points[i].y)) for i in line], f"joined c{series.number}")
    for point in series.points:
        x, y = across(point.x), up(point.y)
        if point.low and point.high and point.high > point.low:
            drawing.line(x, up(point.low), x, up(point.high), "whisker")
        if point.chosen:
            drawing.mark(x, y, "ring", 0, 10)
        look = f"mark c{series.number}" + (" disturbed" if point.disturbed else "")
        drawing.mark(x, y, look, series.number, 5, point.hover)


def _legend(drawing: Drawing, names: list[tuple[str, int]], has_chosen: bool, top: float) -> None:
    entries: list[tuple[str, int | None]] = [*names, *([("chosen", None)] if has_chosen else [])]
    for index, (name, colour) in enumerate(entries):
        x, y = _LEFT + (index % 4) * 84, top + 8 + 20 * (index // 4)
        if colour is None:
            drawing.mark(x, y, "ring", 0, 7)
        else:
            drawing.mark(x, y, f"mark c{colour}", colour)
        drawing.text(x + 12, y + 4, name, "label")


@dataclass(frozen=True)
class Moment:
    """One run in a trend: its time, its figure with the interval, and the events after it, as (kind, words)."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    hover: str = ""
    disturbed: bool = False
    events: tuple[tuple[str, str], ...] = ()


def trend(title: str, unit: str, moments: list[Moment]) -> Markup | None:
    """Return the course of a figure over runs as an <svg> element; None if fewer than two runs have it.

    Below the time of a run, a triangle up is a deployment, a triangle down a rollback.
    """
    known = [moment for moment in moments if moment.value is not None]
    if len(known) < 2:
        return None
    top, bottom = 18, 128
    lowest, highest = min(m.value for m in known), max(max(m.value, m.high or 0) for m in known)
    up = close_up(lowest, highest, bottom, top) if unit == "%" else fitted(lowest, highest, bottom, top)
    step = (WIDTH - _LEFT - 44) / max(len(moments) - 1, 1)
    told = ", ".join(f"{moment.label}: {number(moment.value)} {unit}" for moment in known)
    drawing = Drawing(name_of(title, moments), title, f"{told}.", WIDTH, bottom + 42)
    drawing.text(0, 10, unit, "tick")
    for tick in up.ticks[:: 2 if len(up.ticks) > 4 else 1]:
        drawing.line(_LEFT, up(tick), WIDTH - 8, up(tick), "grid")
        drawing.text(_LEFT - 6, up(tick) + 4, number(tick), "tick", "end")
    places = [_LEFT + 14 + step * index for index in range(len(moments))]
    joined = [(x, up(moment.value)) for x, moment in zip(places, moments, strict=True) if moment.value is not None]
    drawing.path(joined, "joined c0")
    _moments(drawing, moments, places, up, bottom, step)
    return drawing.markup()


def _moments(
    drawing: Drawing, moments: list[Moment], places: list[float], up: Scale, bottom: float, step: float
) -> None:
    skipped = max(1, round(50 / step))
    for index, (x, moment) in enumerate(zip(places, moments, strict=True)):
        if (len(moments) - 1 - index) % skipped == 0:
            drawing.text(x, bottom + 36, moment.label, "tick", "middle")
        for number_of, (kind, words) in enumerate(moment.events):
            drawing.mark(x + 11 * number_of, bottom + 13, f"event {kind}", 4 if kind == "rolled_back" else 2, 5, words)
        if moment.value is None:
            continue
        if moment.low is not None and moment.high is not None and moment.high > moment.low:
            drawing.line(x, up(moment.low), x, up(moment.high), "whisker")
        look = "mark c0" + (" disturbed" if moment.disturbed else "")
        drawing.mark(x, up(moment.value), look, 0, 5, moment.hover)
