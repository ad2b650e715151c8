"""Draw points in a frame with two axes: lines between points, intervals, limits, labels and a legend."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.core.readable import readable
from slipway.report.drawing import DOWN, UP, Drawing, text_width
from slipway.report.scales import Scale, close_up, fitted, named

# Widths in units of the drawing. On a phone, one unit of WIDTH is about 0.9 pixels, so texts stay legible.
WIDTH = 400
LEFT, RIGHT, LINE = 52, 14, 20
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """One point of a chart. (`low`, `high`) is the interval of y, (`left`, `right`) the interval of x; None if unknown.

    `label` is drawn beside the point. `hover` is the text under the pointer. A `disturbed` point is hollow, a
    `shortened` point is pale, and a `chosen` point has a ring.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    left: float | None = None
    right: float | None = None
    label: str = ""
    hover: str = ""
    disturbed: bool = False
    shortened: bool = False
    chosen: bool = False


@dataclass(frozen=True)
class Series:
    """Points that a line joins. `name` is for the legend, `number` gives their colour and mark; 0 is grey."""

    name: str
    points: Sequence[Point]
    number: int = 1

    @property
    def look(self) -> str:
        """Return the name of the look in palette.yaml that has the colour of the series."""
        return f"c{self.number}" if self.number else "rest"


@dataclass(frozen=True)
class Axis:
    """An axis of a chart: its title with the unit, and a limit to draw, with words for it; None is no limit.

    With `names`, the values on the axis are indices of the names. With `close_up`, the axis does not begin at zero,
    since small changes matter, as in percentages.
    """

    title: str
    limit: float | None = None
    limit_words: str = ""
    names: Sequence[str] = ()
    close_up: bool = False

    def scale(self, values: Sequence[float], start: float, end: float) -> Scale:
        """Return the scale for values, between the coordinates `start` and `end`, with room above the highest value.

        A limit far above the values is not shown.
        """
        if self.names:
            return named(self.names, start, end)
        if self.close_up:
            return close_up(min(values), max(values), start, end)
        highest = 1.05 * max(values)
        if self.limit is not None and highest < self.limit <= 1.4 * highest:
            highest = self.limit
        return fitted(min(values), highest, start, end)


@dataclass(frozen=True)
class Event:
    """A mark below the x axis, such as a deployment, that points up or down. `index` is its x value.

    `look` is the name of its look in palette.yaml, `words` the text under the pointer.
    """

    index: int
    look: str
    is_up: bool
    words: str


def xy_chart(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    width: float = WIDTH,
    height: float = 230,
    heading: str = "",
    note: str = "",
    events: Sequence[Event] = (),
) -> Drawing | None:
    """Return a chart of points; None if there is only one point, which a table shows better.

    `title` is for people who do not see the chart; `heading` and, at the foot, `note` are drawn. `height` is the height
    of the frame. `events` are marks below the x axis. The legend is beside the heading or, without room there, below
    the frame.
    """
    points = [point for one in series for point in one.points]
    if len(points) < 2:
        return None
    top = LINE * bool(heading) + (24 if y.title or x.title else 8)
    below = top + height + (18 + 16 * bool(x.title) + 20 * bool(events))
    drawing = Drawing(title, _described(x, y, points), width, below + 4)
    drawing.text(0, 12, heading, "strong")
    values = [value for point in points for value in (point.low, point.y, point.high) if value is not None]
    places = [value for point in points for value in (point.left, point.x, point.right) if value is not None]
    across = x.scale(places, LEFT, width - RIGHT)
    frame = Frame(drawing, across, y.scale(values, top + height, top))
    frame.draw_axes(x, y, 20 * bool(events))
    for one in series:
        frame.draw_series(one)
    frame.draw_labels(points)
    frame.draw_events(events)
    drawing.height += LINE * (draw_legend(drawing, series, heading, below) + bool(note))
    drawing.text(LEFT, drawing.height - 6, note, "tick")
    return drawing


def _described(x: Axis, y: Axis, points: Sequence[Point]) -> str:
    if x.names:
        return f"{', '.join(f'{x.names[round(point.x)]}: {readable(point.y, 3)} {y.title}' for point in points)}."
    chosen = "; ".join(point.hover for point in points if point.chosen)
    return f"{len(points)} points, {y.title} against {x.title}. {chosen}"


@dataclass(frozen=True)
class Frame:
    """The rectangle of a chart in which the points are drawn. `across` is the scale of x, `up` the scale of y."""

    drawing: Drawing
    across: Scale
    up: Scale

    def draw_axes(self, x: Axis, y: Axis, events: float) -> None:
        """Draw the grid, the numbers and titles of the axes, and the limits.

        `events` is the height of the row with the marks of events, 0 without events.
        """
        left, right, bottom, top = self.across.start, self.across.end, self.up.start, self.up.end
        for tick in self.up.ticks:
            self.drawing.line(left, self.up(tick), right, self.up(tick), "grid")
            self.drawing.text(left - 6, self.up(tick) + 4, self.up.words(tick), "tick", "end")
        for tick in [] if x.names else self.across.ticks:
            self.drawing.line(self.across(tick), top, self.across(tick), bottom, "grid")
        self._draw_numbers_across(bottom + 16 + events)
        self.drawing.text(right, bottom + 32 + events, x.title, "tick", "end")
        self.drawing.text(0, top - 12, y.title, "tick")
        self._draw_limits(x, y)

    def _draw_limits(self, x: Axis, y: Axis) -> None:
        left, right, bottom, top = self.across.start, self.across.end, self.up.start, self.up.end
        if x.limit is not None and self.across.low < x.limit <= self.across.high:
            at, width = self.across(x.limit), text_width(x.limit_words, "warned")
            self.drawing.line(at, top, at, bottom, "limit", x.limit_words)
            beside_title = max(at - width / 2, text_width(y.title, "tick") + 12)
            self.drawing.text(min(beside_title, right + RIGHT - width), top - 12, x.limit_words, "warned")
        if y.limit is not None and self.up.low < y.limit <= self.up.high:
            self.drawing.line(left, self.up(y.limit), right, self.up(y.limit), "limit", y.limit_words)
            self.drawing.text(right - 3, self.up(y.limit) - 4, y.limit_words, "warned halo", "end")

    def _draw_numbers_across(self, y: float) -> None:
        """Draw the texts of the x axis's ticks, from the last tick on. A text that would touch another is left out."""
        free_until = math.inf
        for tick in reversed(self.across.ticks):
            words, place = self.across.words(tick), self.across(tick)
            half = text_width(words, "tick") / 2
            if place + half < free_until:
                self.drawing.text(place, y, words, "tick", "middle")
                free_until = place - half - 6

    def draw_events(self, events: Sequence[Event]) -> None:
        """Draw events between the frame and the names of the x axis. Several marks of one index are side by side."""
        for number_before, event in enumerate(events):
            beside = sum(other.index == event.index for other in events[:number_before])
            x, shape = self.across(event.index) + 11 * beside, UP if event.is_up else DOWN
            self.drawing.mark(x, self.up.start + 13, f"event {event.look}", shape, hover=event.words)

    def draw_series(self, series: Series) -> None:
        """Draw a series: its line, the intervals of its points, and its points."""
        places = [(self.across(point.x), self.up(point.y)) for point in series.points]
        if len(places) > 1:
            self.drawing.path(places, f"joined {series.look}")
        for point, (x, y) in zip(series.points, places, strict=True):
            if point.low is not None and point.high is not None and point.high > point.low:
                self.drawing.line(x, self.up(point.low), x, self.up(point.high), f"span {series.look}")
            if point.left is not None and point.right is not None and point.right > point.left:
                self.drawing.line(self.across(point.left), y, self.across(point.right), y, f"span {series.look}")
            if point.chosen:
                self.drawing.mark(x, y, "ring", size=10)
            look = f"mark {series.look}" + " disturbed" * point.disturbed + " shortened" * point.shortened
            self.drawing.mark(x, y, look, series.number, hover=point.hover)

    def draw_labels(self, points: Sequence[Point]) -> None:
        """Draw the label of each point beside the point, the label of the chosen point first.

        A label that would cover another label or a point is left out.
        """
        places = [(self.across(point.x), self.up(point.y)) for point in points]
        taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in places]
        for point, (x, y) in sorted(zip(points, places, strict=True), key=lambda pair: not pair[0].chosen):
            boxes = _around(x, y, text_width(point.label, "tick"), 12 if point.chosen else 7) if point.label else []
            if box := next((box for box in boxes if self._is_free(box, taken)), None):
                taken.append(box)
                self.drawing.text(box[0], box[3], point.label, "tick halo")

    def _is_free(self, box: Box, taken: Sequence[Box]) -> bool:
        left, top, right, bottom = box
        inside = self.across.start <= left and right <= self.across.end + RIGHT
        inside = inside and self.up.end <= top and bottom <= self.up.start
        return inside and not any(a < right and left < c and b < bottom and top < d for a, b, c, d in taken)


def draw_legend(drawing: Drawing, series: Sequence[Series], heading: str, below: float) -> int:
    """Draw the legend beside the heading or, without room, in lines from y = `below` on. Return the number of lines.

    After the names of the series comes "chosen", with its ring. A single series without a chosen point has no legend.
    """
    has_chosen = any(point.chosen for one in series for point in one.points)
    entries = [(one.name, f"mark {one.look}", one.number, 5) for one in series if one.name]
    if len(entries) < 2 and not has_chosen:
        return 0
    entries += [("chosen", "ring", 0, 7)] * has_chosen
    # Each width has the distance to the next entry, and a reserve for fonts that are wider than Helvetica.
    widths = [24 + 1.2 * text_width(name) for name, *_ in entries]
    beside = bool(heading) and text_width(heading, "strong") + 20 + sum(widths) <= drawing.width
    line, x = (0, drawing.width - sum(widths) + 16) if beside else (1, LEFT)
    for (name, look, shape, size), width in zip(entries, widths, strict=True):
        if x > LEFT and x + width > drawing.width + 16:
            line, x = line + 1, LEFT
        y = below + LINE * (line - 0.5) if line else 8
        drawing.mark(x, y, look, shape, size)
        drawing.text(x + 12, y + 4, name)
        x += width
    return line


def _around(x: float, y: float, width: float, away: float) -> list[Box]:
    """Return the boxes (left, top, right, bottom) in which a point's label may be, the best box first."""
    height, half = 9.0, width / 2
    corners = [
        *((x + away, y - away + 2), (x - away - width, y - away + 2), (x + away, y + away + height - 2)),
        *((x - away - width, y + away + height - 2), (x - half, y - away - 1), (x - half, y + away + height)),
    ]
    return [(left, bottom - height, left + width, bottom) for left, bottom in corners]
