import pytest

from slipway.load_test.coarse_filter import left_out
from slipway.load_test.limits import breaks_still, left_out_in_words

LIMITS = {"p99_ms": 10.0, "min_throughput_per_s": None}


def result(subject="fp32", batch=1, p50=12.0, p99=None, rate=100.0, verdict="steady"):
    interval = {"median": p50, "low": p50, "high": p50, "verdict": verdict}
    rates = {"median": rate, "low": rate, "high": 1.1 * rate, "verdict": verdict}
    return {
        "subject": subject,
        "batch": batch,
        "latency": {"end_to_end": {"p50_ms": p50, "p99_ms": p99}},
        "throughput_per_s": {"1": rate},
        "intervals": {"p50_ms": {"end_to_end": interval}, "inferences_per_s": rates, "verdict": verdict},
    }


def filtered(*results, limits=LIMITS, instances=2, largest_batch=1):
    return left_out(results, ["fp32", "int8"], limits, instances, largest_batch)


def test_an_engine_that_is_too_slow_without_load_is_left_out_with_its_figure():
    [entry] = filtered(result(), result("int8", p50=9.0), result("pytorch", p50=99.0))
    assert entry == {
        "precision": "fp32",
        "limit": "p99_ms",
        "allowed": 10.0,
        "figure": 12.0,
        "quantity": "unloaded p50",
    }
    assert left_out_in_words(entry) == "fp32 is not load-tested: unloaded p50 12 breaks p99_ms 10"
    large = entry | {"quantity": "throughput at its best", "figure": 11_430.4, "limit": "min_throughput_per_s"}
    said = left_out_in_words(large | {"allowed": 1_200_000})
    assert said == "fp32 is not load-tested: throughput at its best 11,430 breaks min_throughput_per_s 1,200,000"


def test_the_p99_counts_where_the_samples_carry_it():
    [entry] = filtered(result(p50=9.0, p99=10.1))
    assert (entry["figure"], entry["quantity"]) == (10.1, "unloaded p99")
    assert not filtered(result(p50=9.0, p99=10.0))


def test_a_disturbed_measurement_leaves_nothing_out():
    assert not filtered(result(verdict="disturbed"))
    assert not filtered(result(), result(batch=8, verdict="disturbed"))


def test_larger_batches_alone_say_nothing_of_single_requests():
    assert not filtered(result(batch=8))


@pytest.mark.parametrize(
    ("minimum", "instances", "largest_batch", "is_left_out"),
    [
        (111, 1, 8, True),
        (110, 1, 8, False),  # the upper end of the interval reaches it
        (111, 2, 8, False),  # two instances may reach it
        (111, 1, 16, False),  # larger batches may reach it
    ],
)
def test_an_engine_that_cannot_reach_the_throughput_is_left_out(minimum, instances, largest_batch, is_left_out):
    limits = {"p99_ms": None, "min_throughput_per_s": minimum}
    results = result(rate=50), result(batch=8, rate=100)
    entries = filtered(*results, limits=limits, instances=instances, largest_batch=largest_batch)
    assert bool(entries) == is_left_out


def test_an_engine_is_left_out_once():
    assert len(filtered(result(), limits={"p99_ms": 10.0, "min_throughput_per_s": 999})) == 1


def test_a_wider_limit_brings_an_engine_back():
    [entry] = filtered(result())
    assert breaks_still(entry, LIMITS)
    assert not breaks_still(entry, {"p99_ms": 12.0})
    assert not breaks_still(entry, {"p99_ms": None})
