from slipway.benchmark.comparison import (
    best_throughput,
    best_throughput_ratios,
    compare,
    highest_throughput,
    intervals,
)


def result(subject, batch, p50, rates, graph_rates=None):
    """Return a result of one round with the given p50 of each quantity and inferences/s by streams."""
    of_kinds = {"throughput_per_s": rates, "throughput_graph_per_s": graph_rates}
    measured = {
        "subject": subject,
        "batch": batch,
        "latency": {quantity: {"p50_ms": value} for quantity, value in p50.items()},
        "rounds": [{"p50_ms": p50, "rates": of_kinds, "cpu_waiting": 0.0}],
        **of_kinds,
    }
    return measured | {"intervals": intervals(measured)}


def latency_ratios(own, baseline):
    """Return the ratios of latencies of an engine to a baseline."""
    results = [own, baseline, *([EAGER] if baseline is HALF else [])]
    return compare(results)["fp16"]["1"][baseline["subject"]]["p50"]


EAGER = result("pytorch", 1, {"gpu": 4.0, "end_to_end": 5.0}, {"1": 250, "2": 200})
HALF = result("pytorch_fp16", 1, {"gpu": 3.0, "gpu_graph": 1.0, "end_to_end": 4.0}, {"1": 300}, {"1": 1000})
ENGINE = result("fp16", 1, {"gpu": 0.6, "gpu_graph": 0.4, "end_to_end": 1.0, "h2d": 0.1}, {"1": 1500}, {"1": 2500})
LARGE = [
    result("pytorch", 8, {"gpu": 8.0, "end_to_end": 8.0}, {"1": 1000}),
    result("fp16", 8, {"gpu": 1.0}, {"1": 8000}),
]


def test_an_engine_in_a_graph_is_held_against_eager_without_one():
    assert latency_ratios(ENGINE, EAGER) == {"gpu": 0.15, "gpu_graph": 0.1, "end_to_end": 0.2}


def test_a_baseline_is_taken_at_its_best():
    assert latency_ratios(ENGINE, HALF) == {"gpu": 0.6, "gpu_graph": 0.4, "end_to_end": 0.25}


def test_a_quantity_that_the_baseline_lacks_has_no_ratio():
    assert latency_ratios(ENGINE, result("pytorch", 1, {"end_to_end": 2.0}, {"1": 1})) == {"end_to_end": 0.5}


def test_the_fastest_way_is_named():
    assert highest_throughput(EAGER) == {"inferences_per_s": 250, "streams": 1, "graph": False}
    assert highest_throughput(HALF) == {"inferences_per_s": 1000, "streams": 1, "graph": True}


def test_every_subject_is_held_against_pytorch_at_its_own_batch():
    found = compare([EAGER, HALF, ENGINE, *LARGE])
    assert set(found) == {"pytorch_fp16", "fp16"}
    assert found["fp16"]["1"]["pytorch"]["throughput"] == 10
    assert found["fp16"]["1"]["pytorch_fp16"]["throughput"] == 2.5
    assert set(found["fp16"]["8"]) == {"pytorch"}
    at_8 = found["fp16"]["8"]["pytorch"]
    assert (at_8["p50"], at_8["throughput"], at_8["intervals"]["throughput"]["low"]) == ({"gpu": 0.125}, 8, 8)
    assert set(found["pytorch_fp16"]["1"]) == {"pytorch"}


def test_best_of_each_against_best_of_each():
    best = best_throughput([EAGER, HALF, ENGINE, *LARGE])
    for subject, rate in (("pytorch", 1000), ("fp16", 8000)):
        span = best[subject].pop("interval")
        assert best[subject] == {"batch": 8, "inferences_per_s": rate, "streams": 1, "graph": False}
        assert (span["low"], span["high"]) == (rate, rate)
    assert best["pytorch_fp16"]["batch"] == 1
    ratios = best_throughput_ratios(best)
    assert ratios["fp16"] == {"pytorch": 8, "pytorch_fp16": 8}
    assert ratios["pytorch"] == {"pytorch_fp16": 1, "fp16": 0.125}
