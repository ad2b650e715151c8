"""Draw points and lines in a frame with two axes, for a PDF (as vectors, with selectable text) and as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from matplotlib.ticker import MaxNLocator
from reportlab.graphics import renderSVG
from reportlab.graphics.charts.axes import XValueAxis, YValueAxis
from reportlab.graphics.shapes import Circle, Drawing, Group, Line, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from slipway.report.colours import GRID, LIMIT, QUIET, TEXT

FONT, BOLD, SIZE = "Helvetica", "Helvetica-Bold", 8
# Around the frame, in points: the numbers of the axes and the title of the chart. A line has the title of an axis.
LEFT, RIGHT, BOTTOM, TOP = 48, 10, 18, 20
LINE, SVG_MARGIN = 13, 8
# From this ratio of the largest value to the smallest one, an axis is logarithmic.
LOGARITHMIC_FROM = 40


@dataclass(frozen=True)
class Point:
    """One point. `low` and `high` are the ends of its vertical interval; `label` stands beside it."""

    x: float
    y: float
    label: str = ""
    low: float | None = None
    high: float | None = None
    hollow: bool = False
    square: bool = False
    ringed: bool = False


@dataclass(frozen=True)
class Series:
    """Points that a line joins, their name for the legend, and their colour (#rrggbb)."""

    name: str
    points: Sequence[Point]
    colour: str


@dataclass(frozen=True)
class Axis:
    """The title of an axis with its unit, and a limit to draw, with its words.

    With `categories`, the values are indices of them.
    """

    title: str
    limit: float | None = None
    limit_words: str = ""
    categories: Sequence[str] = ()


@dataclass(frozen=True)
class Scale:
    """The ends and the ticks of an axis. With `logarithmic`, they are logarithms; `categories` name the ticks."""

    low: float
    high: float
    ticks: list[float]
    logarithmic: bool = False
    categories: Sequence[str] = ()

    def __call__(self, value: float) -> float:
        """Return a value as it is on the axis."""
        return math.log10(value) if self.logarithmic else value

    def words(self, tick: float) -> str:
        """Return a tick's number as text, such as "2,500"."""
        if self.categories:
            return self.categories[round(tick)]
        value = 10**tick if self.logarithmic else tick
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def scale_of(values: Sequence[float], axis: Axis) -> Scale:
    """Return the scale for values, with room above the largest one. It begins at 0 unless it is logarithmic.

    A limit far above the values is not on it.
    """
    if count := len(axis.categories):
        return Scale(-0.5, count - 0.5, [float(index) for index in range(count)], categories=axis.categories)
    largest = max(values)
    if axis.limit is not None and axis.limit <= 1.4 * largest:
        largest = max(largest, axis.limit)
    smallest = min((value for value in values if value > 0), default=0)
    if smallest and min(values) > 0 and largest / smallest >= LOGARITHMIC_FROM:
        return _logarithmic(smallest, largest)
    ticks = [float(tick) for tick in MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(0, 1.08 * largest or 1)]
    return Scale(0, ticks[-1], ticks)


def _logarithmic(smallest: float, largest: float) -> Scale:
    decades = range(math.floor(math.log10(smallest)) - 1, math.ceil(math.log10(largest)) + 1)
    ladder = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    low = max(tick for tick in ladder if 1.08 * tick <= smallest)
    high = min(tick for tick in ladder if tick >= 1.08 * largest)
    ticks = [math.log10(tick) for tick in ladder if low <= tick <= high]
    return Scale(ticks[0], ticks[-1], ticks, logarithmic=True)


def xy_chart(
    title: str, x: Axis, y: Axis, series: Sequence[Series], note: str = "", size: tuple[float, float] = (482, 184)
) -> Drawing:
    """Return a chart with a legend beside the title or below, and a note below. `size` (points) is without these."""
    width, height = size
    legend = Legend.of([each for each in series if each.name], width, stringWidth(title, BOLD, 9))
    below = LINE * (legend.lines_below + bool(note)) + 4
    drawing = Drawing(width, height + below)
    bottom, top = (margin + LINE * bool(axis.title) for margin, axis in ((BOTTOM, x), (TOP, y)))
    frame = Frame.of(series, x, y, (LEFT, below + bottom, width - LEFT - RIGHT, height - bottom - top))
    frame.draw_axes(drawing, x, y)
    drawing.add(_text(0, height + below - 10, title, font=BOLD, size=9))
    for each in series:
        frame.draw_series(drawing, each)
    frame.draw_labels(drawing, series)
    legend.draw(drawing, height + below - 10, below)
    if note:
        drawing.add(_text(LEFT, 4, note, colour=QUIET, size=7))
    return drawing


@dataclass(frozen=True)
class Legend:
    """The names of series in columns of one width (points), from `left` on. It has no lines below beside the title."""

    series: Sequence[Series]
    left: float
    column: float
    columns: int
    lines_below: int

    @classmethod
    def of(cls, series: Sequence[Series], width: float, title: float) -> "Legend":
        """Return the legend in a drawing of some width, whose title has the width `title`; none for a single series."""
        if len(series) < 2:
            return cls([], 0, 0, 1, 0)
        column = 24 + max(stringWidth(each.name, FONT, SIZE) for each in series)
        if title + 20 + column * len(series) <= width:
            return cls(series, width - column * len(series), column, len(series), 0)
        columns = max(1, int((width - LEFT) / column))
        return cls(series, LEFT + 3, column, columns, math.ceil(len(series) / columns))

    def draw(self, drawing: Drawing, beside: float, below: float) -> None:
        """Draw it at the height `beside` of the title, or in lines from the height `below` on downwards."""
        for index, each in enumerate(self.series):
            line, place = divmod(index, self.columns)
            x, y = self.left + place * self.column, below - LINE * (1 + line) if self.lines_below else beside
            drawing.add(Circle(x, y + 3, 3, fillColor=HexColor(each.colour), strokeColor=None))
            drawing.add(_text(x + 8, y, each.name))


def sentence(text: str) -> Drawing:
    """Return a sentence as a drawing, in place of a chart."""
    drawing = Drawing(482, 24)
    drawing.add(_text(0, 8, text))
    return drawing


def as_svg(drawing: Drawing, title: str) -> str:
    """Return a drawing as an SVG file with a margin, on white, so that it can be read on a dark page, too."""
    width, height = drawing.width + 2 * SVG_MARGIN, drawing.height + 2 * SVG_MARGIN
    background = Rect(0, 0, width, height, fillColor=white, strokeColor=None)
    moved = Group(*drawing.contents, transform=(1, 0, 0, 1, SVG_MARGIN, SVG_MARGIN))
    svg = renderSVG.drawToString(Drawing(width, height, background, moved))
    # Browsers know a bold font by its weight, not by reportlab's name of it.
    svg = svg.replace(f"font-family: {BOLD};", f"font-family: {FONT}, sans-serif; font-weight: bold;")
    svg = svg.replace(f"font-family: {FONT};", f"font-family: {FONT}, sans-serif;")
    return svg.replace("<title>...</title>", f"<title>{escape(title)}</title>").replace("<desc>...</desc>", "")


@dataclass
class Frame:
    """The rectangle of the points, with the axes, whose `scale` gives positions."""

    box: tuple[float, float, float, float]
    scales: tuple[Scale, Scale]
    axes: tuple[XValueAxis, YValueAxis]

    @classmethod
    def of(cls, series: Sequence[Series], x: Axis, y: Axis, box: tuple[float, float, float, float]) -> "Frame":
        """Return the frame for some series at the position and of the size `box` (left, bottom, width, height)."""
        points = [point for each in series for point in each.points]
        heights = [value for point in points for value in (point.low, point.y, point.high) if value is not None]
        scales = scale_of([point.x for point in points], x), scale_of(heights, y)
        left, bottom, width, height = box
        axes = XValueAxis(), YValueAxis()
        for axis, scale, length in zip(axes, scales, (width, height), strict=True):
            axis.valueMin, axis.valueMax, axis.valueSteps = scale.low, scale.high, scale.ticks
            axis.labelTextFormat = scale.words
            axis.labels.fontName, axis.labels.fontSize, axis.labels.fillColor = FONT, SIZE, HexColor(TEXT)
            axis.strokeColor = HexColor(QUIET)
            axis.visibleGrid, axis.gridStrokeColor, axis.gridStrokeWidth = True, HexColor(GRID), 0.5
            axis.setPosition(left, bottom, length)
            axis.configure([(scale.low, scale.high)])
        axes[0].gridStart, axes[0].gridEnd = bottom, bottom + height
        axes[1].gridStart, axes[1].gridEnd = left, left + width
        return cls(box, scales, axes)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the position of a point in the drawing."""
        return self.axes[0].scale(self.scales[0](x)), self.axes[1].scale(self.scales[1](y))

    def draw_axes(self, drawing: Drawing, x: Axis, y: Axis) -> None:
        """Draw the axes with their titles, and the limits that are within the frame."""
        left, bottom, width, height = self.box
        for axis in self.axes:
            axis.makeGrid(drawing)
            drawing.add(axis)  # not what it draws, whose texts refer to the axis
        drawing.add(_text(left + width, bottom - 25, x.title, anchor="end", colour=QUIET))
        drawing.add(_text(0, bottom + height + 8, y.title, colour=QUIET))
        red = {"strokeColor": HexColor(LIMIT), "strokeWidth": 1, "strokeDashArray": [4, 3]}
        if self.shows(0, x.limit):
            at = self.axes[0].scale(self.scales[0](x.limit))
            drawing.add(Line(at, bottom, at, bottom + height, **red))
            beside_title = max(at - stringWidth(x.limit_words, FONT, SIZE) / 2, stringWidth(y.title, FONT, SIZE) + 10)
            drawing.add(_text(beside_title, bottom + height + 8, x.limit_words, colour=LIMIT))
        if self.shows(1, y.limit):
            at = self.axes[1].scale(self.scales[1](y.limit))
            drawing.add(Line(left, at, left + width, at, **red))
            drawing.add(_text(left + width - 3, at + 3, y.limit_words, colour=LIMIT, anchor="end"))

    def shows(self, axis: int, limit: float | None) -> bool:
        """Say whether a limit is within the frame."""
        scale = self.scales[axis]
        return limit is not None and limit > 0 and scale.low <= scale(limit) <= scale.high

    def draw_series(self, drawing: Drawing, series: Series) -> None:
        """Draw the line, the intervals and the points of a series."""
        colour = HexColor(series.colour)
        if len(series.points) > 1:
            path = [number for point in series.points for number in self.at(point.x, point.y)]
            drawing.add(PolyLine(path, strokeColor=colour, strokeWidth=1.2))
        for point in series.points:
            x, y = self.at(point.x, point.y)
            if point.low is not None and point.high is not None:
                ends = self.at(point.x, point.low)[1], self.at(point.x, point.high)[1]
                drawing.add(Line(x, ends[0], x, ends[1], strokeColor=colour, strokeWidth=2.2, strokeOpacity=0.45))
            drawing.add(_marker(point, x, y, colour))
            if point.ringed:
                drawing.add(Circle(x, y, 7, fillColor=None, strokeColor=HexColor(TEXT), strokeWidth=1.3))

    def draw_labels(self, drawing: Drawing, series: Sequence[Series]) -> None:
        """Draw the label of each point beside it, the ringed one's first.

        A label for which there is no place is left out, since it would cover another one or a point.
        """
        points = [(point, *self.at(point.x, point.y)) for each in series for point in each.points]
        points.sort(key=lambda placed: not placed[0].ringed)
        taken = [(x - 3, y - 3, x + 3, y + 3) for _, x, y in points]
        for point, x, y in points:
            if point.label:
                width, away = stringWidth(point.label, FONT, SIZE), 9 if point.ringed else 5
                places = _around(x, y, width, away)
                box = next((place for place in places if self._is_free(place, taken)), None)
                if box:
                    taken.append(box)
                    drawing.add(_text(box[0], box[1], point.label))

    def _is_free(self, place: tuple[float, float, float, float], taken: list[tuple]) -> bool:
        left, bottom, width, height = self.box
        inside = left <= place[0] and place[2] <= left + width and bottom <= place[1] and place[3] <= bottom + height
        return inside and not any(_overlap(place, other) for other in taken)


def _marker(point: Point, x: float, y: float, colour: Color) -> Circle | Rect:
    look = {"fillColor": white if point.hollow else colour, "strokeColor": colour, "strokeWidth": 1.2}
    return Rect(x - 2.8, y - 2.8, 5.6, 5.6, **look) if point.square else Circle(x, y, 3, **look)


def _around(x: float, y: float, width: float, away: float) -> list[tuple[float, float, float, float]]:
    """Return the boxes (left, bottom, right, top) beside a point that a label may have, the best one first."""
    height, half = SIZE * 0.75, width / 2
    corners = [
        *((x + away, y + away - 2), (x - away - width, y + away - 2), (x + away, y - away - height + 2)),
        *((x - away - width, y - away - height + 2), (x - half, y + away + 1), (x - half, y - away - height)),
    ]
    return [(left, bottom, left + width, bottom + height) for left, bottom in corners]


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _text(
    x: float, y: float, text: str, colour: str = TEXT, anchor: str = "start", font: str = FONT, size: float = SIZE
) -> String:
    return String(x, y, text, fontName=font, fontSize=size, fillColor=HexColor(colour), textAnchor=anchor)
