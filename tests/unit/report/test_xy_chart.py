"""A chart as a reader sees it: readable numbers at the axes, nothing cut off, nothing covered."""

import itertools
from xml.etree import ElementTree

import pytest
from reportlab.graphics.shapes import Circle, Polygon, String

from slipway.report.drawing import sentence, text_width
from slipway.report.pdf_drawing import pdf_drawing
from slipway.report.xy_chart import Axis, Point, Series, xy_chart

CROWD = [Point(1 + 0.01 * index, 100 + 0.1 * index, label=f"{index}") for index in range(20)]
LINE = [Point(x, 1000.0 * x, label=str(x)) for x in (1, 2, 5)]


def drawn(*series, x=None, y=None, note="", width=640):
    axes = x or Axis("p99 in ms"), y or Axis("requests per second")
    return xy_chart("Title", *axes, series, width=width, height=150, heading="Title", note=note)


def boxes(chart):
    """Return the boxes (left, top, right, bottom) of all texts."""
    for text in (element for element in chart.elements if element.tag == "text"):
        width, (x, y) = text_width(text.text, text.look), text.numbers
        left = x - {"start": 0, "middle": width / 2, "end": width}[text.anchor]
        yield (left, y - 9, left + width, y), text.text


def texts(chart):
    return [text for _, text in boxes(chart)]


@pytest.mark.parametrize(
    ("values", "limit", "expected"),
    [
        ([11173.5, 4685.0], None, ["0", "5,000", "10,000", "15,000"]),
        ([4.3, 12.3], 100, ["0", "5", "10", "15"]),
        ([4.3, 12.3], 15.5, ["0", "5", "10", "15", "20"]),
        ([0.0], None, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([2.0, 950.0], None, ["2", "5", "10", "20", "50", "100", "200", "500", "1,000"]),
    ],
)
def test_the_numbers_of_an_axis_are_plain_and_reach_above_the_largest_value(values, limit, expected):
    scale = Axis("", limit).scale(values, 0, 100)
    assert [scale.words(tick) for tick in scale.ticks] == expected
    assert scale(max(values)) < 100
    assert scale(min(values)) >= 0
    assert scale.logarithmic or scale.low == 0


def test_each_point_is_drawn_and_its_label_beside_it():
    chart = drawn(Series("a", LINE, 1), Series("b", [Point(3, 10, shortened=True)], 2))
    assert [element.look for element in chart.elements].count("mark c1") == len(LINE) + 1, "and one in the legend"
    assert [element.look for element in chart.elements].count("mark c2 shortened") == 1
    assert {"1", "2", "5", "a", "b", "Title", "p99 in ms", "requests per second"} <= set(texts(chart))


@pytest.mark.parametrize("points", [LINE, CROWD])
@pytest.mark.parametrize("width", [400, 640])
def test_no_text_is_cut_or_covers_another(points, width):
    limits = {"x": Axis("p99 in ms", points[0].x, "limit 1 ms"), "y": Axis("requests per second", points[-1].y, "most")}
    named = [Series(f"the configuration with the number {number}", LINE, number) for number in (2, 3, 4)]
    chart = drawn(Series("first of them", points), *named, note="Numbers.", width=width, **limits)
    found = list(boxes(chart))
    for (left, top, right, bottom), text in found:
        assert left >= 0, text
        assert top >= 0, text
        assert right <= chart.width, text
        assert bottom <= chart.height, text
    for (one, text), (other, other_text) in itertools.combinations(found, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, f"{text} covers {other_text}"


@pytest.mark.parametrize(("limit", "shown"), [(500, False), (6, True)])
def test_a_limit_far_away_does_not_squeeze_the_points(limit, shown):
    chart = drawn(Series("a", LINE), x=Axis("", limit, "the limit"))
    assert ("the limit" in texts(chart)) == shown


def test_names_are_at_equal_distances_and_left_out_where_there_is_no_room():
    points = [Point(0, 1), Point(1, 2), Point(2, 4)]
    chart = drawn(Series("", points), x=Axis("", names=["1", "8", "64"]))
    assert {"1", "8", "64"} <= set(texts(chart))
    places = [element.numbers[0] for element in chart.elements if element.tag == "circle"]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
    runs = [f"{day} November" for day in range(1, 31)]
    crowded = drawn(Series("", [Point(0, 1), Point(29, 2)]), x=Axis("", names=runs))
    assert "30 November" in texts(crowded)
    assert 3 < len(set(runs) & set(texts(crowded))) < 15


def test_a_document_has_the_same_texts_and_marks():
    chart = drawn(Series("a", LINE), Series("b", [Point(3, 10, disturbed=True)], 2))
    shapes = pdf_drawing(chart, 320).contents
    assert [shape.text for shape in shapes if isinstance(shape, String)] == texts(chart)
    assert len([shape for shape in shapes if isinstance(shape, Circle)]) == len(LINE) + 1
    (square,) = [shape for shape in shapes if isinstance(shape, Polygon) and shape.fillColor.red == 1]
    (mark,) = [element for element in chart.elements if "disturbed" in element.look]
    assert square.points[0] == pytest.approx(mark.numbers[0] / 2)
    assert square.points[1] == pytest.approx((chart.height - mark.numbers[1]) / 2)


def test_the_same_figures_give_the_same_file_which_a_browser_shows_on_any_page():
    files = {drawn(Series("<&>", LINE), Series("b", LINE, 2)).file() for _ in range(2)}
    (file,) = files
    picture = ElementTree.fromstring(file)
    found = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "<&>" in found
    assert ".ground { fill: #ffffff; }" in file
    assert "var(" not in file
    assert (
        ElementTree.fromstring(sentence("A single point").file()).find("{http://www.w3.org/2000/svg}text") is not None
    )
