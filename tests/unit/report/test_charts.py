"""Charts are well-formed SVG that says its figures in text, also to those who do not see it."""

import xml.etree.ElementTree as ET

from slipway.report.bar_charts import Bar, Stack, bars, stacks
from slipway.report.xy_chart import Axis, Event, Point, Series, xy_chart

SVG = "{http://www.w3.org/2000/svg}"
STEADY = Bar("int8", 6.7, "6.70 ms", 6.5, 6.9, "chosen", hover="int8: 6.70 ms (6.5 to 6.9)")
NOISY = Bar("<pytorch>", 36.0, "36.0 ms", None, None, "baseline", disturbed=True, hover="noisy")


def read(drawing):
    """Return the elements of a drawing; every one has to be well-formed."""
    return ET.fromstring(str(drawing.markup()))


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def looks(root):
    return [element.get("class") for element in root.iter() if element.get("class")]


def test_bars_say_their_values_and_draw_their_intervals():
    root = read(bars("p50 latency in ms", "ms", {"batch 1": [NOISY, STEADY]}))
    assert {"batch 1", "<pytorch>", "36.0 ms ~", "int8", "6.70 ms", "0 ms", "40"} <= set(texts(root))
    hovers = [element.text for element in root.iter(f"{SVG}title")]
    assert hovers == ["p50 latency in ms", "noisy", "int8: 6.70 ms (6.5 to 6.9)"]
    assert looks(root).count("whisker") == 3  # of the one interval: a line with two ends
    assert "bar baseline disturbed" in looks(root)
    assert "bar chosen" in looks(root)


def test_a_drawing_has_a_name_and_a_description_for_people_who_do_not_see_it():
    root = read(bars("p50 latency in ms", "ms", {"batch 1": [STEADY]}))
    assert root.get("role") == "img"
    title, text = root.get("aria-labelledby").split()
    named = {element.get("id"): element.text for element in root if element.get("id")}
    assert named == {title: "p50 latency in ms", text: "Bars in ms. batch 1: int8 6.70 ms."}


def test_the_longest_bar_and_its_interval_stay_inside():
    wide = Bar("a", 9.9, "9.9 ms", 5, 19.7)
    root = read(bars("t", "ms", {"batch 1": [wide]}))
    width = float(root.get("viewBox").split()[2])
    assert all(float(line.get("x2")) <= width - 80 for line in root.iter(f"{SVG}line"))


def test_a_bar_of_parts_has_its_parts_in_proportion():
    rows = [
        Stack("PyTorch", [("convolutions", 30, 0), ("queue", 10, 6)], "40 ms"),
        Stack("int8", [("engine", 4, 5)], "4 ms"),
    ]
    root = read(stacks("Where the time goes", "ms", rows))
    widths = {box.get("class"): float(box.get("width")) for box in reversed(list(root.iter(f"{SVG}rect")))}
    assert widths["part p0"] / widths["part p6"] > 2.9
    assert {"PyTorch", "40 ms", "convolutions", "queue", "engine"} <= set(texts(root))


def test_no_chart_has_a_single_point():
    assert xy_chart("t", Axis("x"), Axis("y"), [Series("int8", [Point(10, 100)])]) is None


def test_points_show_the_limit_the_chosen_one_and_the_windows():
    chosen, noisy = Point(10, 100, 95, 104, hover="first", chosen=True), Point(30, 150, hover="second", disturbed=True)
    series = Series("int8", [chosen, noisy], 2)

    def drawn(limit):
        x = Axis("p99 in ms", limit, f"limit {limit}")
        return read(xy_chart("Throughput against latency", x, Axis("answers/s"), [series]))

    root = drawn(25)
    assert {"limit 25", "int8", "chosen", "p99 in ms", "answers/s"} <= set(texts(root))
    assert looks(root).count("ring") == 2  # of the point, and of the legend
    assert looks(root).count("span c2") == 1
    assert "mark c2 disturbed" in looks(root)
    assert "second" in [element.text for element in root.iter(f"{SVG}title")]
    assert "limit 500" not in texts(drawn(500))


def test_events_are_marked_below_their_run():
    deployed, back = (
        Event(0, "deployed", True, "deployed 1 November"),
        Event(0, "rolled_back", False, "rolled back to 9 November"),
    )
    points = [Point(0, 4.0, 3.9, 4.2), Point(1, 5.0, disturbed=True)]
    days = Axis("", names=["1 Nov", "8 Nov"])
    root = read(xy_chart("median latency", days, Axis("ms"), [Series("", points)], events=[deployed, back]))
    assert looks(root).count("event deployed") == 1
    assert looks(root).count("event rolled_back") == 1
    assert {"1 Nov", "8 Nov", "ms"} <= set(texts(root))
    assert "rolled back to 9 November" in [element.text for element in root.iter(f"{SVG}title")]
    assert "1 Nov: 4 ms, 8 Nov: 5 ms." in [element.text for element in root.iter(f"{SVG}desc")]
