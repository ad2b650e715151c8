"""A chart as a reader sees it: readable numbers at the axes, nothing cut off, nothing covered."""

import itertools
from xml.etree import ElementTree

import pytest
from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Circle, Rect, String
from reportlab.pdfbase.pdfmetrics import stringWidth

from slipway.report.xy_chart import Axis, Point, Series, as_svg, scale_of, xy_chart

CROWD = [Point(1 + 0.01 * index, 100 + 0.1 * index, label=f"{index}") for index in range(20)]
LINE = [Point(x, 1000.0 * x, label=str(x)) for x in (1, 2, 5)]


def drawn(*series, x=None, y=None, note=""):
    chart = xy_chart("Title", x or Axis("p99 in ms"), y or Axis("requests per second"), series, note)
    renderSVG.drawToString(chart)  # so that the axes are drawn
    return chart


def boxes(chart):
    """Return the boxes of all texts that are not of an axis."""
    for text in (each for each in chart.contents if isinstance(each, String)):
        width = stringWidth(text.text, text.fontName, text.fontSize)
        left = text.x - {"start": 0, "middle": width / 2, "end": width}[text.textAnchor]
        yield (left, text.y, left + width, text.y + 0.75 * text.fontSize), text.text


@pytest.mark.parametrize(
    ("values", "limit", "expected"),
    [
        ([11173.5, 4685.0], None, ["0", "2,500", "5,000", "7,500", "10,000", "12,500"]),
        ([4.3, 12.3], 100, ["0", "2.5", "5", "7.5", "10", "12.5", "15"]),
        ([4.3, 12.3], 15, ["0", "5", "10", "15", "20"]),
        ([0.0], None, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([2.0, 950.0], None, ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1,000", "2,000"]),
    ],
)
def test_the_numbers_of_an_axis_are_plain_and_reach_above_the_largest_value(values, limit, expected):
    scale = scale_of(values, Axis("", limit))
    assert [scale.words(tick) for tick in scale.ticks] == expected
    assert scale.low <= scale(max(min(values), 1e-9)) if scale.logarithmic else scale.low == 0
    assert scale(max(values)) < scale.high


def test_each_point_is_drawn_and_its_label_beside_it():
    chart = drawn(Series("a", LINE, "#ff0000"), Series("b", [Point(3, 10, square=True)], "#0000ff"))
    round_ones = [each for each in chart.contents if isinstance(each, Circle) and each.fillColor.red == 1]
    assert len(round_ones) == len(LINE) + 1, "and one in the legend"
    assert len([each for each in chart.contents if isinstance(each, Rect)]) == 1
    texts = [text for _, text in boxes(chart)]
    assert {"1", "2", "5", "a", "b", "Title", "p99 in ms", "requests per second"} <= set(texts)


@pytest.mark.parametrize("points", [LINE, CROWD])
def test_no_text_is_cut_or_covers_another(points):
    limits = {"x": Axis("p99 in ms", points[0].x, "limit 1 ms"), "y": Axis("requests per second", points[-1].y, "most")}
    chart = drawn(Series("first of them", points, "#ff0000"), Series("b", LINE, "#0000ff"), note="Numbers.", **limits)
    found = list(boxes(chart))
    for (left, bottom, right, top), text in found:
        assert left >= 0, text
        assert bottom >= 0, text
        assert right <= chart.width, text
        assert top <= chart.height, text
    for (one, text), (other, other_text) in itertools.combinations(found, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, f"{text} covers {other_text}"


@pytest.mark.parametrize(("limit", "shown"), [(500, False), (6, True)])
def test_a_limit_far_away_does_not_squeeze_the_points(limit, shown):
    chart = drawn(Series("a", LINE, "#ff0000"), x=Axis("", limit, "the limit"))
    assert ("the limit" in [text for _, text in boxes(chart)]) == shown


def test_categories_are_named_at_equal_distances():
    points = [Point(0, 1), Point(1, 2), Point(2, 4)]
    chart = drawn(Series("", points, "#ff0000"), x=Axis("", categories=["1", "8", "64"]))
    svg = renderSVG.drawToString(chart).replace("\n", "")
    assert all(f">{name}<" in svg for name in ("1", "8", "64"))
    places = [each.cx for each in chart.contents if isinstance(each, Circle)]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])


def test_the_same_figures_give_the_same_file_which_a_browser_shows_on_any_page():
    files = {as_svg(drawn(Series("a", LINE, "#ff0000")), "<&>") for _ in range(2)}
    (file,) = files
    picture = ElementTree.fromstring(file)
    assert picture.find("{http://www.w3.org/2000/svg}title").text == "<&>"
    assert "font-weight: bold" in file
    assert "Helvetica-Bold" not in file
    assert "fill: rgb(100%,100%,100%)" in file
