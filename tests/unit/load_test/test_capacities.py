import pytest

from slipway.load_test.capacities import contenders, needed_rate
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
        (row(99, 2), [BEST], Limits(), 90.0),
        (row(99, 1, max_batch_size=16), [BEST], Limits(), 90.0),
        (row(99, 1, precision="bf16"), [BEST], Limits(), None),  # as large: within 10 %, it may be chosen
        (row(99, 2), [], Limits(), None),
        (row(99, 2), [BEST | {"verdict": "disturbed"}], Limits(), None),
        (row(99, 2), [BEST | {"capacity_per_s": None}], Limits(), None),
        (row(99, 2), [BEST], Limits(min_throughput_per_s=95), None),  # the best is left out, so any other one may be it
    ],
)
def test_a_larger_configuration_needs_the_capacity_of_the_best(larger, measured, limits, needed):
    assert needed_rate(larger, measured, limits) == needed
