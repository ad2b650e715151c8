from functools import partial

import pytest

from slipway.load_test.capacities import contenders, needed_rate
from slipway.load_test.capacity import capacity, judged, next_rate, search
from slipway.load_test.goals import Goal, choose
from slipway.load_test.limits import Limits


def row(throughput, instances=1, concurrency=1, **others):
    own = {"precision": "fp32", "max_batch_size": 8, "instances": instances, "concurrency": concurrency}
    return {**own, "throughput_per_s": throughput, "p99_ms": 10, "memory_mb": 100, "verdict": "steady", **others}


def test_the_winner_comes_first_and_each_configuration_once():
    """Of three that are equally fast, the smallest wins."""
    one, one_busier, two, three = row(50), row(100, concurrency=4), row(96, 2, 4), row(104, 3, 4)
    assert contenders([one, one_busier, three, two], "cheapest") == [one_busier, two, three]


def test_what_is_much_slower_is_not_measured():
    best, near, far = row(100), row(80, 2), row(74, 3)
    assert contenders([best, near, far], "cheapest") == [best, near]


def test_there_are_three_at_most():
    assert len(contenders([row(100 + number, number) for number in range(1, 9)], "cheapest")) == 3


@pytest.mark.parametrize("goal", ["fastest", "most_accurate"])
def test_for_goals_that_compare_no_throughput_only_the_winner_is_measured(goal):
    best = row(50, p99_ms=5, accuracy_loss=0.0)
    assert contenders([row(100, 2, accuracy_loss=0.1), best], goal) == [best]


def test_without_a_configuration_within_the_limits_there_is_none():
    assert contenders([], "cheapest") == []


BEST = row(100) | {"capacity_per_s": 90.0, "verdict": "steady"}


@pytest.mark.parametrize(
    ("larger", "measured", "limits", "needed"),
    [
        (row(99, 2), [BEST], Limits(), 100.8),
        (row(99, 1, max_batch_size=16), [BEST], Limits(), 100.8),
        (row(99, 1, precision="bf16"), [BEST], Limits(), None),  # as large: within 10 %, it may be chosen
        (row(99, 2), [], Limits(), None),
        (row(99, 2), [BEST | {"verdict": "disturbed"}], Limits(), None),
        (row(99, 2), [BEST | {"capacity_per_s": None}], Limits(), None),
        (row(99, 2), [BEST], Limits(min_throughput_per_s=95), None),  # the best is left out, so any other one may be it
    ],
)
def test_a_larger_configuration_needs_more_than_the_capacity_of_the_best(larger, measured, limits, needed):
    assert needed_rate(larger, measured, limits) == (needed and pytest.approx(needed))


@pytest.mark.parametrize("most", [60, 90, 95, 97, 101, 130, 300])
def test_the_rate_that_is_needed_changes_no_choice(most):
    """The choice is that of a search that begins at the capacity of the best one. Up to 1.05 * most, a rate holds."""

    def measured(first, needed):
        def measure(rate):
            sent = {"asked_per_s": rate, "sent_per_s": rate, "requests": 1000, "tail_ms": 1, "tail_percentile": 99}
            return judged(sent | {"answered_per_s": min(rate, most), "verdict": "steady"}, 50)

        points, ended_by = search(measure, partial(next_rate, first=first), lambda _: True, needed)
        return len(points), capacity(points, ended_by)

    best = row(100) | {"capacity": BEST | {"breaks_at": {"sent_per_s": 100.8, "requests": 1000}, "limited_by": None}}
    needed = needed_rate(row(99, 2), [BEST], Limits())
    (fewer, at_once), (more, from_capacity) = measured(needed, needed), measured(90.0, None)
    choices = [choose([best, row(99, 2) | {"capacity": own}], Goal("cheapest")) for own in (at_once, from_capacity)]
    assert choices[0]["instances"] == choices[1]["instances"] == (1 if 1.05 * most < 100.8 else 2)
    assert fewer <= more
