import pytest
from helpers.artifacts.measured_rows import row

from slipway.core.steadiness import DISTURBED
from slipway.load_test.goals import (
    ALONE,
    CLEAR,
    FASTEST,
    MOST_ACCURATE,
    NOISE,
    Goal,
    certainty,
    choose,
    runner_up,
)
from slipway.load_test.limits import Limits, reliable_rate
from slipway.load_test.selection_words import reason


def windowed(windows, verdict="steady", **others):
    return row(sum(windows) / len(windows), windows_per_s=windows, verdict=verdict, **others)


CHEAPEST = Goal()
BEST = windowed([90.0, 100.0, 110.0], instances=2)
NOISY = windowed([20.0, 30.0, 250.0], verdict="disturbed")


def test_the_most_throughput_is_the_cheapest():
    slow, fast = row(50), row(100, instances=4)
    assert choose([slow, fast], CHEAPEST) is fast


def test_the_smaller_of_equals_is_chosen():
    large, small = row(100, instances=2), row(95.1, instances=1)
    assert choose([large, small], CHEAPEST) is small
    assert choose([small, large], CHEAPEST) is small


def test_beyond_ten_percent_the_faster_is_chosen():
    large, small = row(100, instances=2), row(89.9, instances=1)
    assert choose([large, small], CHEAPEST) is large


def test_an_order_within_the_noise_of_the_windows_is_no_order():
    overlapping, apart = windowed([70.0, 80.0, 91.0]), windowed([70.0, 80.0, 89.0])
    assert choose([BEST, overlapping], CHEAPEST) is overlapping
    assert "within the noise of the most that any configuration answers under the limits (100.0/s by fp32, 2 " in (
        reason(overlapping, [BEST, overlapping], Limits(1000), CHEAPEST)
    )
    assert choose([BEST, apart], CHEAPEST) is BEST


@pytest.mark.parametrize("goal", [CHEAPEST, Goal(rate=95), Goal(FASTEST), Goal(MOST_ACCURATE)], ids=str)
def test_what_is_disturbed_does_not_win_by_its_noise(goal):
    assert NOISY["throughput_per_s"] == BEST["throughput_per_s"]
    noisy = NOISY | {"p99_ms": 1.0}
    assert choose([BEST, noisy], goal) is BEST


def test_what_is_disturbed_wins_if_its_slowest_window_does():
    fast = windowed([120.0, 300.0, 400.0], verdict="disturbed")
    assert choose([BEST, fast], CHEAPEST) is fast


def test_of_disturbed_ones_alone_one_is_chosen():
    without_windows = row(500, verdict="disturbed")
    assert choose([NOISY, without_windows], CHEAPEST) is NOISY
    assert choose([without_windows], CHEAPEST) is without_windows
    assert choose([without_windows], Goal(rate=10)) is without_windows
    assert reliable_rate(without_windows) == 0
    assert choose([NOISY, without_windows], Goal(FASTEST)) is NOISY


@pytest.mark.parametrize(
    ("large", "small"),
    [
        (row(instances=2, batch=1, memory=1, p99=1), row(instances=1, batch=8, memory=9, p99=9)),
        (row(batch=8, memory=1, p99=1), row(batch=4, memory=9, p99=9)),
        (row(memory=9, p99=1), row(memory=1, p99=9)),
        (row(p99=9), row(p99=1)),
    ],
    ids=["instances", "batch size", "memory", "latency"],
)
def test_ties_go_to_few_instances_then_small_batches_then_little_memory(large, small):
    assert choose([large, small], CHEAPEST) is small


def test_at_a_stated_rate_the_fewest_servers_are_the_cheapest():
    one, two = row(100, instances=4), row(60, instances=1)
    assert choose([one, two], Goal(rate=100)) is one
    assert choose([one, two], Goal(rate=60)) is two  # one server of either suffices
    assert [Goal(rate=100).machines(each) for each in (one, two)] == [1, 2]
    assert Goal(rate=100, headroom=0.3).machines(one) == 2
    assert Goal(rate=63, headroom=0.3).machines(row(90)) == 1


def test_costs_are_those_at_the_rate_or_at_the_own_throughput():
    assert Goal(price_per_hour=3.6).cost_per_million(row(100)) == pytest.approx(10)
    assert Goal(price_per_hour=3.6, rate=150).cost_per_million(row(100)) == pytest.approx(2 * 3.6 / 3600 / 150 * 1e6)
    assert Goal().cost_per_million(row(100)) is None
    assert Goal(price_per_hour=3.6).cost_per_million(row(100, verdict="disturbed")) is None


def test_the_fastest_has_the_lowest_p99_and_of_equals_the_most_throughput():
    first, equal, slow = row(10, p99=10), row(50, p99=10.9), row(99, p99=11.2)
    assert choose([first, equal, slow], Goal(FASTEST)) is equal


def test_the_most_accurate_loses_least_and_of_equals_is_the_cheapest():
    exact, also, lossy = (
        row(10, accuracy_loss=0.0),
        row(20, accuracy_loss=0.0, precision="bf16"),
        row(99, accuracy_loss=0.001, precision="int8"),
    )
    unknown = row(999, accuracy_loss=None)
    assert choose([exact, also, lossy, unknown], Goal(MOST_ACCURATE)) is also


def open_loop(holds, breaks=None, verdict="steady"):
    bound = breaks and {"sent_per_s": breaks, "requests": 200}
    return row(200) | {"capacity": {"capacity_per_s": holds, "breaks_at": bound, "verdict": verdict}}


def test_the_runner_up_has_another_configuration():
    busier = row(99, concurrency=8)
    other = row(50, instances=2)
    delayed = row(60) | {"queue_delay_us": 100}
    assert runner_up([row(100), busier, other], row(100), CHEAPEST) is other
    assert runner_up([row(100), delayed, other], row(100), CHEAPEST) is delayed
    assert runner_up([row(100), busier], row(100), CHEAPEST) is None


@pytest.mark.parametrize(
    ("choice", "second", "goal", "verdict"),
    [
        (row(100), None, CHEAPEST, ALONE),
        (row(100), row(80), CHEAPEST, CLEAR),
        (row(100), row(95), CHEAPEST, NOISE),
        (row(95), row(100), CHEAPEST, NOISE),
        (BEST, windowed([60.0, 80.0, 91.0]), CHEAPEST, NOISE),
        (BEST, NOISY, CHEAPEST, NOISE),  # nobody knows what it would be on a quiet machine
        (NOISY, row(1), CHEAPEST, DISTURBED),
        (row(p99=10), row(p99=10.5), Goal(FASTEST), NOISE),
        (row(p99=10), row(p99=12), Goal(FASTEST), CLEAR),
        (row(p99=10), row(p99=5, verdict="disturbed"), Goal(FASTEST), NOISE),
        (row(accuracy_loss=0.0), row(accuracy_loss=0.1), Goal(MOST_ACCURATE), CLEAR),
        (row(accuracy_loss=0.0), row(accuracy_loss=0.0), Goal(MOST_ACCURATE), NOISE),
        (row(100), row(60), Goal(rate=100), CLEAR),
        (open_loop(100.0, 110.0), open_loop(80.0, 88.0), CHEAPEST, CLEAR),
        (open_loop(100.0, 110.0), open_loop(80.0), CHEAPEST, NOISE),  # nobody knows at which rate the second breaks
        (open_loop(100.0, 110.0), open_loop(80.0, 88.0, "disturbed"), CHEAPEST, NOISE),
        (open_loop(100.0, 110.0), open_loop(80.0), Goal(rate=95), NOISE),
        (BEST, row(60), Goal(rate=105), NOISE),  # the slowest window of the first needs two servers, too
    ],
)
def test_how_sure_the_choice_is(choice, second, goal, verdict):
    assert certainty(choice, second, goal) == verdict
