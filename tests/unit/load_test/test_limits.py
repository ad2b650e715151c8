import math

import pytest
from helpers.artifacts.measured_rows import row

from slipway.load_test.accuracy_loss import accuracy_loss
from slipway.load_test.goals import pareto_front
from slipway.load_test.limits import Limits
from slipway.load_test.near_misses import settable, what_has_to_give
from slipway.load_test.selection_words import figures_in_words


@pytest.mark.parametrize(
    ("limits", "at", "beyond"),
    [
        (Limits(p99_ms=50), row(p99=50), row(p99=50.1)),
        (Limits(p99_ms=50), row(p99=50), row(p99=math.nan)),
        (Limits(memory_mb=300), row(memory=300), row(memory=301)),
        (Limits(memory_mb=300), row(memory=999, gpu_memory_mb=300), row(memory=1, gpu_memory_mb=301)),
        (Limits(memory_mb=300), row(memory=1), row(memory=1, gpu_memory_mb=None)),
        (Limits(min_throughput_per_s=100), row(100), row(99.9)),
        (
            Limits(min_throughput_per_s=100),
            row(120, verdict="disturbed", windows_per_s=[100.0, 140.0]),
            row(120, verdict="disturbed", windows_per_s=[99.0, 141.0]),
        ),
        (Limits(max_accuracy_loss=0.01), row(accuracy_loss=0.01), row(accuracy_loss=0.011)),
        (Limits(max_accuracy_loss=0.01), row(accuracy_loss=0.0), row(accuracy_loss=None)),
    ],
    ids=str,
)
def test_each_limit_is_held_up_to_its_value(limits, at, beyond):
    assert limits.broken(at) == []
    [broken] = limits.broken(beyond)
    assert getattr(limits, broken["limit"]) == broken["allowed"]


def test_no_limit_is_broken_by_nothing():
    assert Limits().broken(row(0, p99=9e9, memory=None)) == []


def test_all_broken_limits_are_told():
    broken = Limits(10, 100, 1000).broken(row())
    assert [item["limit"] for item in broken] == ["p99_ms", "memory_mb", "min_throughput_per_s"]


NEAR = {"p99_interval_ms": [45.0, 55.0]}


def test_a_p99_whose_interval_has_the_limit_is_within_the_noise():
    [broken] = Limits(p99_ms=48).broken(row(p99=50, **NEAR))
    assert broken == {"limit": "p99_ms", "allowed": 48, "figure": 50, "within_noise": True}
    assert "within_noise" not in Limits(p99_ms=40).broken(row(p99=50, **NEAR))[0]
    assert "within_noise" not in Limits(p99_ms=48).broken(row(p99=50))[0]
    assert figures_in_words(row(p99=50, **NEAR), Limits(p99_ms=52)).startswith(
        "p99 50 ms of 52 allowed (within the noise: 45 to 55 ms)"
    )
    slow = figures_in_words(row(p99=1200, p99_interval_ms=[1150.0, 1300.0]), Limits(p99_ms=1160))
    assert slow.startswith("p99 1,200 ms of 1,160 allowed (within the noise: 1,150 to 1,300 ms)")
    assert "noise" not in figures_in_words(row(p99=50, **NEAR), Limits(p99_ms=60))
    # Too few samples to bound it from above.
    assert "noise" not in figures_in_words(row(p99=50, p99_interval_ms=[45.0, None]), Limits(p99_ms=60))


# What has to give


def test_each_limit_that_alone_suffices_is_told_with_its_value():
    rows = [row(100, p99=9.13, memory=250), row(50, p99=4, memory=90)]
    words = what_has_to_give(rows, Limits(p99_ms=5, min_throughput_per_s=80))
    assert "with `load_test.p99_limit_ms: 9.13` for 5 one holds: fp32" in words
    assert "with `load_test.min_throughput_per_s: 50` for 80 one holds: fp32" in words


def test_large_figures_are_told_in_digits():
    words = what_has_to_give([row(11_430, memory=None)], Limits(min_throughput_per_s=20_000))
    assert "`load_test.min_throughput_per_s: 11400` for 20,000 one holds" in words
    assert words.endswith("with 11,430/s")


def test_limits_that_only_together_suffice_are_told_together():
    rows = [row(10, p99=9, memory=250), row(50, p99=90, memory=900)]
    words = what_has_to_give(rows, Limits(p99_ms=5, memory_mb=100))
    assert "`load_test.p99_limit_ms` alone does not suffice" in words
    assert "with `load_test.p99_limit_ms: 9` and `load_test.memory_limit_mb: 250` one holds" in words


def test_memory_that_nobody_saw_is_told():
    assert "memory that was not seen" in what_has_to_give([row(memory=None)], Limits(memory_mb=100))


@pytest.mark.parametrize(
    ("limit", "figure", "value"),
    [
        ("p99_ms", 9.1234, "9.13"),
        ("min_throughput_per_s", 3129, "3120"),
        ("memory_mb", 1900, "1900"),
        ("memory_mb", 12_345_678, "12400000"),
        ("p99_ms", 0, "0"),
        ("min_throughput_per_s", 0, "null"),
    ],
)
def test_a_limit_to_set_is_one_that_the_figure_holds(limit, figure, value):
    assert settable(limit, figure) == value


# The loss of accuracy


def test_the_loss_is_the_first_figure_that_the_record_carries():
    labelled = {"labelled": 9, "pytorch": {"top1": 0.8}, "engine": {"top1": 0.75}, "relative_error": 0.2}
    sample = {"relative_error": 0.3}
    metric = {"pytorch": {"iou": 0.5, "error": 2.0}, "engine": {"iou": 0.45, "error": 2.1}}
    unlimited = {"key": {}}
    limited = {"key": {"metric_limits": {"iou": {"min": 0.1}, "error": {"max": 9.0}}}}
    assert accuracy_loss({"sample": sample, "evaluation": labelled, "metric": metric, **limited}) == {
        "kind": "top1_drop",
        "loss": pytest.approx(0.05),
    }
    rest = {"sample": sample, "evaluation": {"relative_error": 0.2}}
    assert accuracy_loss({**rest, "metric": metric, **limited}) == {"kind": "metric_loss", "loss": pytest.approx(0.1)}
    # Without limits nobody knows which direction is worse.
    assert accuracy_loss({**rest, "metric": metric, **unlimited}) == {"kind": "relative_error", "loss": 0.2}
    alone = {"evaluation": None, "metric": None, **unlimited}
    assert accuracy_loss({**rest, **alone}) == {"kind": "relative_error", "loss": 0.3}
    assert accuracy_loss({"sample": {"equal_values": 1.0}, **alone}) == {"kind": None, "loss": None}


def test_a_gain_is_no_loss():
    better = {"labelled": 9, "pytorch": {"top1": 0.7}, "engine": {"top1": 0.75}}
    assert accuracy_loss({"evaluation": better, "metric": None})["loss"] == 0


# The Pareto front


def test_the_front_has_what_nothing_beats():
    fast, quick, small, beaten = row(100, p99=50), row(50, p99=10), row(40, p99=40, memory=10), row(50, p99=11)
    assert pareto_front([fast, quick, small, beaten]) == [0, 1, 2]


def test_equals_are_on_the_front_together():
    assert pareto_front([row(), row()]) == [0, 1]


def test_a_disturbed_measurement_beats_no_steady_one():
    noisy = row(200, p99=1, memory=1, verdict="disturbed", windows_per_s=[150.0, 250.0])
    assert pareto_front([row(), noisy]) == [0, 1]
    assert pareto_front([row(200, p99=1), noisy | {"memory_mb": 300}]) == [0]
