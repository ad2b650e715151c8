import pytest

from slipway.benchmark.timing import distribution, disturbance, sample_latency, thin, warm_up


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


def test_one_sample_is_each_percentile():
    found = distribution([2.5])
    assert found["p50_ms"] == found["p99_ms"] == found["min_ms"] == 2.5


@pytest.mark.parametrize("minimum", [1, 2, 20])
def test_the_minimum_is_taken_however_short_the_time(minimum):
    calls = []
    samples = sample_latency(lambda: calls.append(1), seconds=0, minimum=minimum)
    assert len(samples) == len(calls) == minimum
    assert min(samples) >= 0


def test_time_left_takes_more_than_the_minimum():
    assert len(sample_latency(lambda: None, seconds=0.02, minimum=1)) > 1


def test_warm_up_calls_at_least_twice():
    calls = []
    assert warm_up(lambda: calls.append(1), seconds=0) == len(calls) == 2


def test_the_tail_of_many_samples():
    found = distribution([float(value) for value in range(1001)])
    assert found["p99_9_ms"] == 999


def test_the_tail_of_few_samples_is_next_to_their_maximum():
    assert distribution([1.0] * 9 + [2.0])["p99_9_ms"] == pytest.approx(2, abs=0.01)


def test_few_samples_are_all_kept():
    assert thin([3.00004, 1.0, 2.0], limit=3) == [3.0, 1.0, 2.0]


def test_many_samples_are_thinned_evenly_in_their_order():
    assert thin(range(101), limit=5) == [0, 25, 50, 75, 100]
    assert len(thin(range(2001), limit=2000)) == 2000


@pytest.mark.parametrize(("load", "told"), [(2.9, None), (3.1, "load average 3.1 on 2 cores")])
def test_a_load_beyond_the_workflows_own_is_told(load, told):
    found = disturbance({"load_average_1min": load, "threads": 2})
    assert (found is None) if told is None else (told in found)
