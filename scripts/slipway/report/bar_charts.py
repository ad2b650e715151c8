"""Draw horizontal bars: in groups with intervals, each group with its own scale; or bars that are made of parts."""

from dataclasses import dataclass

from slipway.core.readable import readable
from slipway.report.drawing import Drawing
from slipway.report.scales import Scale, from_zero
from slipway.report.xy_chart import WIDTH

LABELS, VALUES = 92, 86
_ROW, _BAR, _HEAD, _TICKS, _STACK = 24, 14, 22, 26, 44


@dataclass(frozen=True)
class Bar:
    """One bar. `low` and `high` are the interval of the value, None if unknown. `text` is the value in words.

    `look` is the name of the bar's look in palette.yaml, which has its colour. `disturbed` draws the bar as uncertain.
    `hover` is the text under the pointer.
    """

    label: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    look: str = "other"
    disturbed: bool = False
    hover: str = ""


def with_unit(value: float, unit: str) -> str:
    """Return a value with its unit, such as "5 ms" or "5/s"."""
    return f"{readable(value, 3)}{'' if unit.startswith('/') else ' '}{unit}"


def bars(title: str, unit: str, groups: dict[str, list[Bar]]) -> Drawing:
    """Return a drawing of bars in groups, {name of the group: bars}. The scale of each group begins at zero.

    `title` is for people who do not see the drawing, `unit` stands at the scales.
    """
    described = [f"{name}: " + ", ".join(f"{bar.label} {bar.text}" for bar in group) for name, group in groups.items()]
    drawing = Drawing(title, f"Bars in {unit}. {'; '.join(described)}.", WIDTH, 0)
    for name, group in groups.items():
        _draw_group(drawing, name, unit, group, drawing.height)
        drawing.height += _HEAD + _ROW * len(group) + _TICKS
    return drawing


def _tick_words(tick: float, unit: str) -> str:
    """Return the number at a tick as text. Only the tick at zero has the unit."""
    return readable(tick, 3) if tick else with_unit(tick, unit)


def _draw_group(drawing: Drawing, name: str, unit: str, group: list[Bar], top: float) -> None:
    highest = max(max(bar.value, bar.high or 0) for bar in group)
    scale = from_zero(highest, LABELS, WIDTH - VALUES)
    first, last = top + _HEAD, top + _HEAD + _ROW * len(group)
    drawing.text(0, top + 13, name, "strong")
    for tick in scale.ticks[:: 2 if len(scale.ticks) > 5 else 1]:
        drawing.line(scale(tick), first, scale(tick), last, "grid")
        drawing.text(scale(tick), last + 14, _tick_words(tick, unit), "tick", "middle")
    for row, bar in enumerate(group):
        _draw_bar(drawing, bar, first + _ROW * (row + 0.5), scale)


def _draw_bar(drawing: Drawing, bar: Bar, middle: float, scale: Scale) -> None:
    text = "strong" if bar.look == "chosen" else "plain"
    drawing.text(LABELS - 8, middle + 4, bar.label, text, "end")
    look = f"bar {bar.look}" + (" disturbed" if bar.disturbed else "")
    drawing.box(LABELS, middle - _BAR / 2, scale(bar.value) - LABELS, _BAR, look, bar.hover)
    if bar.low is not None and bar.high is not None and bar.high > bar.low:
        drawing.line(scale(bar.low), middle, scale(bar.high), middle, "whisker")
        for end in (bar.low, bar.high):
            drawing.line(scale(end), middle - 4, scale(end), middle + 4, "whisker")
    drawing.text(WIDTH, middle + 4, f"{bar.text}{' ~' if bar.disturbed else ''}", text, "end")


@dataclass(frozen=True)
class Stack:
    """One bar that is made of parts, such as a time and its shares.

    `parts` is [(name, value, number of its colour)]; `text` is the sum of the values in words.
    """

    label: str
    parts: list[tuple[str, float, int]]
    text: str


def stacks(title: str, unit: str, rows: list[Stack]) -> Drawing:
    """Return a drawing of bars that are made of parts, on one scale. The names of the parts are below the bars."""
    names = dict.fromkeys((name, colour) for row in rows for name, _, colour in row.parts)
    bottom, described = _STACK * len(rows), "; ".join(f"{row.label}: {row.text}" for row in rows)
    height = bottom + 26 + 20 * ((len(names) + 1) // 2)
    drawing = Drawing(title, f"Bars of parts in {unit}. {described}.", WIDTH, height)
    scale = from_zero(max(sum(value for _, value, _ in row.parts) for row in rows), 2, WIDTH - 8)
    for tick in scale.ticks:
        drawing.line(scale(tick), 0, scale(tick), bottom, "grid")
        anchor = "start" if tick == 0 else "end" if tick == scale.ticks[-1] else "middle"
        drawing.text(scale(tick), bottom + 14, _tick_words(tick, unit), "tick", anchor)
    for index, row in enumerate(rows):
        top, begin = _STACK * index, 0.0
        drawing.text(2, top + 13, row.label, "plain halo")
        drawing.text(WIDTH - 8, top + 13, row.text, "plain halo", "end")
        for name, value, colour in row.parts:
            hover = f"{row.label}, {name}: {with_unit(value, unit)}"
            drawing.box(scale(begin), top + 18, scale(begin + value) - scale(begin), 20, f"part p{colour}", hover)
            begin += value
    for index, (name, colour) in enumerate(names):
        x, y = (index % 2) * WIDTH / 2, bottom + 28 + 20 * (index // 2)
        drawing.box(x + 2, y, 11, 11, f"part p{colour}")
        drawing.text(x + 18, y + 10, name, "plain")
    return drawing
