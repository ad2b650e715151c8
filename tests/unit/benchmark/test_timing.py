from types import SimpleNamespace

import numpy as np
import pytest

from slipway.benchmark import timing
from slipway.benchmark.timing import Effort, distribution, percentile_interval, sample_latency, thin, warm_up


def test_percentiles_of_known_samples():
    found = distribution([float(value) for value in range(101)])
    assert {name: found[name] for name in ("p50_ms", "p90_ms", "p95_ms", "p99_ms")} == {
        "p50_ms": 50,
        "p90_ms": 90,
        "p95_ms": 95,
        "p99_ms": 99,
    }
    assert found["count"] == 101
    assert found["mean_ms"] == 50
    assert found["min_ms"] == 0


def test_the_order_of_samples_does_not_matter():
    assert distribution([5.0, 1.0, 3.0]) == distribution([1.0, 3.0, 5.0])


def test_one_sample_is_the_median_and_carries_no_other_percentile():
    found = distribution([2.5])
    assert found == {"count": 1, "mean_ms": 2.5, "min_ms": 2.5, "p50_ms": 2.5}


@pytest.mark.parametrize("minimum", [1, 2, 20])
def test_the_minimum_is_taken_however_short_the_time(minimum):
    calls = []
    samples = sample_latency(lambda: calls.append(1), seconds=0, minimum=minimum)
    assert len(samples) == len(calls) == minimum
    assert min(samples) >= 0


@pytest.fixture
def call(monkeypatch):
    """Return a call that takes 1 s of the clock by which latencies are measured."""
    now = [100.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def take_a_second():
        now[0] += 1

    return take_a_second


def test_time_left_takes_more_than_the_minimum(call):
    assert sample_latency(call, seconds=4.5, minimum=1) == [1000.0] * 5


def test_the_minimum_has_a_bound_in_time(call):
    assert sample_latency(call, 0, minimum=1000, longest_seconds=2.5) == [1000.0] * 3


def test_a_call_that_takes_longer_than_all_time_is_measured_once(call):
    assert sample_latency(call, seconds=0.5, minimum=9, longest_seconds=0.5) == [1000.0]


def test_a_round_has_its_part_of_the_effort():
    assert Effort(4, 1, 21, 20).of_a_round(5) == Effort(0.8, 0.2, 5, 4)


def test_warm_up_calls_at_least_once():
    calls = []
    assert warm_up(lambda: calls.append(1), seconds=0) == len(calls) == 1


def test_the_tail_of_many_samples():
    found = distribution([float(value) for value in range(1001)])
    assert found["p99_9_ms"] == 999


@pytest.mark.parametrize(
    ("count", "carried"),
    [(9, ["p50"]), (10, ["p50", "p90"]), (99, ["p50", "p90", "p95"]), (100, ["p50", "p90", "p95", "p99"])],
)
def test_percentiles_go_only_as_far_as_the_samples_carry_them(count, carried):
    assert [name for name in distribution([1.0] * count) if name.startswith("p")] == [f"{name}_ms" for name in carried]
    assert "p99_9_ms" in distribution([1.0] * 1000)
    assert "p99_9_ms" not in distribution([1.0] * 999)


def test_few_samples_are_all_kept():
    assert thin([3.00004, 1.0, 2.0], limit=3) == [3.0, 1.0, 2.0]


def test_many_samples_are_thinned_evenly_in_their_order():
    assert thin(range(101), limit=5) == [0, 25, 50, 75, 100]
    assert len(thin(range(2001), limit=2000)) == 2000


@pytest.mark.parametrize(("rank", "count"), [(50, 40), (90, 200), (99, 1000)])
def test_the_interval_of_a_percentile_has_its_probability(rank, count):
    """Of a skewed distribution, whose percentile is known: -log(1 - share)."""
    draws, true = np.random.default_rng(0), -np.log(1 - rank / 100)
    spans = [percentile_interval(draws.exponential(size=count).tolist(), rank) for _ in range(300)]
    held = sum(low <= true <= high for low, high in spans)
    assert 0.87 * 300 <= held <= 0.99 * 300


def test_few_samples_do_not_bound_a_high_percentile_from_above():
    low, high = percentile_interval([float(value) for value in range(90)], 99)
    assert (low, high) == (86.0, None)
    assert percentile_interval([float(value) for value in range(300)], 99)[1] is not None
