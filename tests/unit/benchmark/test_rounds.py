import itertools

import numpy as np
import pytest

from slipway.benchmark.comparison import compare, intervals, ratio_in_words
from slipway.benchmark.cpu_waiting import CpuWaiting
from slipway.benchmark.rounds import COUNTED, ROUNDS, interval, is_no_difference, median_interval, merged, take_turns

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _drawn_anew():
    """Let each test have the same noise, whichever ran before it."""
    global RANDOM
    RANDOM = np.random.default_rng(0)


def turn_of(p50_ms, cpu_waiting=0.0):
    """Return the measurement of a turn whose samples scatter by 2 % around a p50."""
    samples = (p50_ms * (1 + 0.02 * RANDOM.standard_normal(25))).tolist()
    return {
        "samples_ms": {"end_to_end": samples},
        "throughput_per_s": {"1": 1e3 / p50_ms},
        "cpu_waiting": cpu_waiting,
    }


def result_of(subject, p50s_ms, **turn):
    """Return the result of a subject at batch 1, from the p50 of each of its rounds."""
    measurement = merged([turn_of(p50_ms, **turn) for p50_ms in p50s_ms])
    latency = {"end_to_end": {"p50_ms": float(np.median(measurement["samples_ms"]["end_to_end"]))}}
    return {"subject": subject, "batch": 1, "latency": latency, **measurement}


def ratio_of(engine, pytorch):
    """Return the interval of the engine's latency over PyTorch's."""
    results = [result_of("pytorch", pytorch), result_of("fp32", engine)]
    return compare(results)["fp32"]["1"]["pytorch"]["intervals"]["p50"]["end_to_end"]


@pytest.mark.parametrize("count", [5, 6, 8, 11, 20])
def test_the_interval_holds_the_median_as_often_as_it_says(count):
    """Of a skewed distribution, as latencies have it, whose median is known."""
    drawn = np.random.default_rng(count).lognormal(0, 0.5, (600, count))
    held = [low <= 1 <= high for _, low, high in map(median_interval, drawn)]
    assert 0.89 < np.mean(held) < 0.99


def test_few_values_span_from_the_lowest_to_the_highest():
    assert median_interval([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
    assert median_interval([4.0]) == (4.0, 4.0, 4.0)
    assert median_interval([5.0, 1.0, 2.0, 3.0, 4.0]) == (3.0, 1.0, 5.0)
    assert median_interval(range(8)) == (3.5, 1, 6)


QUIET = [10.0, 10.1, 9.9, 10.0, 10.2]


@pytest.mark.parametrize(
    ("p50s", "verdict"),
    [
        (QUIET, "steady"),
        ([10, 11, 12, 13, 14], "disturbed"),  # drifting
        ([10, 10, 20, 10, 10], "disturbed"),  # one disturbed round of five
        ([10, 10, 20, 10, 10, 10, 10, 10], "steady"),  # one of eight
        ([10, 15, 10, 15, 10, 15, 15, 10], "disturbed"),  # two modes
        (QUIET[:4], "disturbed"),  # too few to know
    ],
)
def test_figures_are_judged_by_the_spread_of_their_rounds(p50s, verdict):
    assert intervals(result_of("fp32", p50s))["verdict"] == verdict


def test_a_process_that_waits_for_a_cpu_is_disturbed_however_even_its_rounds_are():
    found = intervals(result_of("fp32", QUIET, cpu_waiting=0.4))
    assert found["verdict"] == found["p50_ms"]["end_to_end"]["verdict"] == "disturbed"
    assert interval(QUIET, [None] * 5)["verdict"] == "steady"  # where the kernel does not tell


def test_a_drift_that_meets_all_subjects_leaves_the_ratio():
    drift = [10, 12, 14, 17, 20]
    found = ratio_of([0.5 * p50 for p50 in drift], drift)
    assert found["verdict"] == "steady"
    assert found["low"] < 0.5 < found["high"]
    assert found["median"] == pytest.approx(0.5, rel=0.03)


def test_a_ratio_whose_interval_includes_one_is_called_no_difference():
    found = ratio_of([10, 10.3, 9.7, 10.2, 9.9], QUIET)
    assert is_no_difference(found)
    assert ratio_in_words(found["median"], found).endswith(", no difference)")
    assert not is_no_difference(ratio_of([8, 8.1, 7.9, 8, 8], QUIET))


def test_a_ratio_of_a_single_round_is_disturbed():
    found = ratio_of([10], [1500])
    assert (found["low"], found["high"], found["verdict"]) == (found["median"], found["median"], "disturbed")


def test_a_ratio_in_words():
    steady = {"low": 0.65, "high": 0.7, "verdict": "steady"}
    assert ratio_in_words(0.68, steady) == "0.68 (0.65 to 0.70)"
    assert ratio_in_words(0.68, {**steady, "high": 1.2, "verdict": "disturbed"}) == (
        "0.68 (0.65 to 1.20, no difference, disturbed)"
    )
    assert ratio_in_words(0.68, {"low": 0.68, "high": 0.68, "verdict": "steady"}) == "0.68"  # of a single round
    assert ratio_in_words(0.68, {"low": 0.68, "high": 0.68, "verdict": "disturbed"}) == "0.68 (disturbed)"


def test_the_rounds_of_a_subject_are_merged():
    one, other = turn_of(10), {**turn_of(20), "no_graph_reason": None}
    found = merged([one, other, turn_of(40)])
    assert len(found["samples_ms"]["end_to_end"]) == 75
    assert found["throughput_per_s"] == {"1": 50.0}
    assert [each["p50_ms"]["end_to_end"] for each in found["rounds"]] == pytest.approx([10, 20, 40], rel=0.03)


def test_what_a_round_lacks_has_no_figure():
    captured = {**turn_of(10), "throughput_graph_per_s": {"1": 200.0}}
    captured["samples_ms"] = {**captured["samples_ms"], "gpu_graph": [5.0]}
    found = merged(
        [{**captured, "samples_ms": {"end_to_end": [9.0], "gpu_graph": None}, "throughput_graph_per_s": None}, captured]
    )
    assert set(found["samples_ms"]) == set(found["rounds"][0]["p50_ms"]) == {"end_to_end"}
    assert found["throughput_graph_per_s"] is None
    assert set(found["rounds"][1]["rates"]) == {"throughput_per_s"}


def turns(clock, *names, seconds=1.0):
    """Return turns that take `seconds` of a clock, and the order in which they were taken."""
    order = []

    def turn(name):
        order.append(name)
        clock[0] += seconds
        return turn_of(10)

    return {name: lambda name=name: turn(name) for name in names}, order


def test_subjects_take_turns_until_the_rounds_are_steady():
    clock = [0.0]
    taken, order = turns(clock, "a", "b")
    verdicts = itertools.chain([False, False], itertools.repeat(True))
    rounds = take_turns(taken, lambda rounds: next(verdicts), seconds=100, clock=lambda: clock[0])
    assert order == ["a", "b"] * (ROUNDS + 2)
    assert [len(figures) for figures in rounds.values()] == [ROUNDS + 2] * 2


def test_a_disturbed_measurement_is_repeated_within_its_time_and_its_last_rounds_count():
    clock = [0.0]
    taken, order = turns(clock, "a", "b")
    rounds = take_turns(taken, lambda rounds: False, seconds=41, clock=lambda: clock[0])
    assert len(order) == 40
    assert {len(figures) for figures in rounds.values()} == {COUNTED}


def test_a_slow_subject_has_fewer_rounds_but_one():
    clock = [0.0]
    taken, _ = turns(clock, "a", seconds=30.0)
    assert len(take_turns(taken, lambda rounds: True, seconds=70, clock=lambda: clock[0])["a"]) == 2
    assert len(take_turns(taken, lambda rounds: True, seconds=1, clock=lambda: clock[0])["a"]) == 1


def test_a_subject_that_cannot_run_takes_no_more_turns():
    clock = [0.0]
    taken, _ = turns(clock, "a", "b")
    rounds = take_turns({**taken, "c": lambda: None}, lambda rounds: True, seconds=100, clock=lambda: clock[0])
    assert list(rounds) == ["a", "b"]


def test_the_time_that_the_process_waited_for_a_cpu_is_a_share():
    with CpuWaiting() as waiting:
        sum(range(10**6))
    assert waiting.share is None or 0 <= waiting.share < 1
