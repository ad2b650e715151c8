"""Axes have round ticks in plain numbers."""

import math

import pytest

from slipway.core.readable import readable
from slipway.report.scales import close_up, fitted, from_zero, linear_ticks, log_ticks


@pytest.mark.parametrize("highest", [0.0031, 0.9, 1, 7.3, 19.99, 84.6, 250, 999, 66_500])
def test_a_scale_from_zero_has_few_round_ticks_and_room_for_the_highest_value(highest):
    scale = from_zero(highest, 10, 110)
    ticks = scale.ticks
    assert 2 <= len(ticks) <= 7
    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert scale(0) == 10
    assert scale(ticks[-1]) == pytest.approx(110)
    first = ticks[1] / 10 ** math.floor(math.log10(ticks[1]) + 1e-9)
    assert any(math.isclose(first, step) for step in (1, 2, 5))


def test_values_that_spread_widely_get_a_logarithmic_scale():
    assert not fitted(1, 49, 0, 1).logarithmic
    scale = fitted(9.25, 1500, 0, 100)
    assert scale.logarithmic
    assert [readable(tick, 3) for tick in scale.ticks] == ["10", "20", "50", "100", "200", "500", "1,000"]
    assert 0 < scale(9.25) < scale(1500) < 100


def test_a_wide_logarithmic_scale_has_powers_of_ten_alone():
    assert [readable(tick, 3) for tick in log_ticks(0.5, 20_000)] == ["1", "10", "100", "1,000", "10,000"]


def test_percentages_are_shown_close_up_so_that_small_changes_are_seen():
    scale = close_up(81.0, 84.8, 100, 0)
    assert scale.low > 70
    assert scale.low < 81.0 < 84.8 < scale.high
    assert len(linear_ticks(scale.low, scale.high)) >= 3
