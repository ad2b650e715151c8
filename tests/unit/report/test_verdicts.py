"""The questions about a chosen configuration stay open where a measurement was disturbed or shows no difference."""

import pytest
from helpers.artifacts import reported

from slipway.benchmark.comparison import best_quantity
from slipway.report.measurements import read_measurements
from slipway.report.verdicts import how_busy_may_it_be, is_it_fast


@pytest.mark.parametrize(
    ("span", "told"),
    [
        ({"low": 0.2, "high": 0.3, "verdict": "disturbed"}, "0.25 (0.20 to 0.30, disturbed) of PyTorch's latency"),
        ({"low": 0.2, "high": 1.1, "verdict": "steady"}, "0.25 (0.20 to 1.10, no difference) of PyTorch's latency"),
    ],
)
def test_speed_that_was_disturbed_or_is_no_difference_is_left_open(tmp_path, span, told):
    measurements = read_measurements(
        reported.write_records(tmp_path), reported.ENGINES, reported.VARIANTS, evaluated=True
    )
    target = measurements.targets[0]
    assert is_it_fast(target, measurements)[0] == "yes"
    latencies = target.benchmark["ratios"][target.chosen.precision]["1"]["pytorch"]["intervals"]["p50"]
    latencies[best_quantity(latencies)] = span | {"median": 0.25}
    state, text = is_it_fast(target, measurements)
    assert state == "open"
    assert told in text


def test_a_load_test_that_was_disturbed_is_left_open(tmp_path):
    measurements = read_measurements(
        reported.write_records(tmp_path), reported.ENGINES, reported.VARIANTS, evaluated=True
    )
    target = measurements.targets[0]
    assert how_busy_may_it_be(target)[0] == "yes"
    target.selection["measured"]["verdict"] = "disturbed"
    state, text = how_busy_may_it_be(target)
    assert state == "open"
    assert "other work disturbed the load test" in text
