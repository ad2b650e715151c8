import json

import pytest
from helpers.artifacts.measured_rows import row

from choose_configuration import main, parse_arguments
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.load_test.decision import decide
from slipway.load_test.goals import Goal
from slipway.load_test.limits import Limits


def test_none_within_the_limits_is_told_with_figures():
    rows = [row(p99=300, memory=700), row(p99=400, memory=100, precision="int8")]
    with pytest.raises(SlipwayError) as caught:
        decide(rows, Limits(20, 500), Goal())
    assert "none of the 2 measured configurations holds `load_test.p99_limit_ms: 20`" in str(caught.value)
    assert "with `load_test.p99_limit_ms: 400` for 20 one holds: int8, 1 instance" in str(caught.value)


def test_no_measurement_at_all_is_told():
    with pytest.raises(SlipwayError, match="no engine that passed the accuracy check was measured"):
        decide([], Limits(1000), Goal())


# The program


def write(folder, name: str, content: dict) -> str:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def proven(precision: str, error: float = 0.0) -> dict:
    return {
        "engine_key": {"precision": precision},
        "limits": {"min_cosine": len(precision)},
        "proven_on_labels": False,
        "sample": {"relative_error": error},
        "evaluation": None,
        "metric": None,
        "key": {},
    }


# The entries of a load test that measured every point of every engine.
COMPLETE = {"minutes": 10.0, "left_out": [], "not_measured": []}
SERVER = {"run": "wheel", "native_backends": False, "release": "24.10"}


@pytest.fixture
def chosen(tmp_path):
    """Return a function that chooses among rows, for engines of some precisions, and returns the record."""

    def run(rows: list[dict], precisions: dict[str, float], *options: str, capacities=(), **of_load_test) -> dict:
        tested = {"origin": "rehearsal", "measurements": rows, "server": SERVER, **COMPLETE, **of_load_test}
        load_test = write(tmp_path, "load_test.json", tested)
        accuracy = [write(tmp_path, f"{name}.json", proven(name, error)) for name, error in precisions.items()]
        output = tmp_path / "selection.json"
        measured = {"configurations": capacities, "serving_options": {}}
        tested = {"load_test_sha256": sha256(load_test)}
        capacity = write(tmp_path, "capacity.json", {"chosen_from": tested, **measured})
        argv = [
            "--load-test",
            load_test,
            "--capacity",
            capacity,
            "--accuracy",
            *accuracy,
            "--output",
            str(output),
            "--p99-limit-ms",
            "1000",
        ]
        main(parse_arguments([*argv, *options]))
        return json.loads(output.read_text(encoding="utf-8"))

    return run


FP32, BF16 = row(100), row(200, precision="bf16", instances=2, windows_per_s=[190.0, 200.0, 210.0])


def test_a_choice_that_was_measured_on_another_server_than_the_one_that_serves_says_so(chosen):
    found = chosen([FP32], {"fp32": 0.0}, "--serving-image", "mine", "--serving-release", "26.07")
    another = "measured with Triton 24.10 of nvidia-pytriton, with its Python backend; mine, which serves elsewhere"
    assert found["reason"].endswith(f"{another}, was not measured")
    assert found["server"] == SERVER | {"another_serves": f"{another}, was not measured"}
    assert chosen([FP32], {"fp32": 0.0})["server"] == SERVER | {"another_serves": None}


def test_the_record_says_what_is_served_and_why(chosen):
    found = chosen([FP32, BF16], {"fp32": 0.0, "bf16": 0.01}, "--memory-limit-mb", "900")
    assert (found["precision"], found["instances"], found["max_batch_size"]) == ("bf16", 2, 8)
    assert found["origin"] == "rehearsal"
    assert (found["limits"]["p99_ms"], found["limits"]["memory_mb"]) == (1000, 900)
    assert found["measured"] == BF16
    assert found["chosen_from"]["measurements"] == 2
    assert found["certainty"] == {"verdict": "clear", "runner_up": 0}
    assert found["reason"].startswith(
        "bf16 with 2 instances, batches up to 8, 4 in flight: p99 50 ms of 1,000 allowed, 200 of 900 MB, 200.0/s; "
    )
    assert "; fp32 would need 2 times the machines" in found["reason"]


def test_points_that_the_load_test_did_not_reach_are_named(chosen):
    point = {"model": "m_int8", "precision": "int8", "instances": 2, "max_batch_size": 8, "concurrency": 4}
    found = chosen([FP32], {"fp32": 0.0}, not_measured=[point], minutes=5.0)
    assert found["not_measured"] == [point]
    assert (
        "not measured, since `load_test.minutes` (5) did not suffice or perf_analyzer had no figures: (int8, 2"
        in (found["reason"])
    )
    assert "not measured" not in chosen([FP32], {"fp32": 0.0})["reason"]


def test_every_candidate_has_its_figures_and_the_limits_that_it_breaks(chosen):
    options = ("--max-accuracy-loss", "0.005", "--price-per-hour", "3.6")
    found = chosen([FP32, BF16], {"fp32": 0.0, "bf16": 0.01}, *options)
    assert found["precision"] == "fp32"
    fp32, bf16 = found["candidates"]
    assert bf16["broken"] == [{"limit": "max_accuracy_loss", "allowed": 0.005, "figure": 0.01}]
    assert bf16["throughput_interval_per_s"] == [190, 210]
    assert (fp32["broken"], fp32["chosen"], bf16["chosen"]) == ([], True, False)
    assert (fp32["on_front"], bf16["on_front"]) == (False, True)
    assert fp32["cost_per_million"] == pytest.approx(10)
    assert "10 for a million inferences at its own throughput" in found["reason"]
    assert "bf16 never holds all limits (max_accuracy_loss)" in found["reason"]
    assert found["accuracy_loss"]["bf16"] == {"kind": "relative_error", "loss": 0.01}


def test_a_stated_rate_counts_servers(chosen):
    found = chosen([FP32, BF16], {"fp32": 0.0, "bf16": 0.01}, "--rate", "90", "--price-per-hour", "3.6")
    assert found["precision"] == "fp32"  # one server of either suffices, and this one is smaller
    assert [entry["machines"] for entry in found["candidates"]] == [1, 1]
    assert found["goal"]["cost_at"] == "rate"
    assert "the fewest servers for 90/s (`deploy.rate`): 1" in found["reason"]


def test_the_goal_decides(chosen):
    rows = [row(100, p99=20), row(200, p99=40, precision="bf16")]
    losses = {"fp32": 0.0, "bf16": 0.01}
    assert chosen(rows, losses)["precision"] == "bf16"
    assert chosen(rows, losses, "--goal", "fastest")["precision"] == "fp32"
    assert chosen(rows, losses, "--goal", "most_accurate")["precision"] == "fp32"


def test_an_engine_whose_accuracy_is_not_proven_is_not_chosen(chosen):
    found = chosen([row(100), row(200, precision="bf16")], {"fp32": 0.0})
    assert found["precision"] == "fp32"
    assert found["chosen_from"]["measurements"] == 1


def test_a_choice_that_noise_made_is_told(chosen):
    noisy = windowed([20.0, 30.0, 200.0], verdict="disturbed")
    assert (
        "other work disturbed the measurement of fp32, 1 instance, batches up to 8, 4 in flight: test again"
        in (chosen([noisy], {"fp32": 0.0})["reason"])
    )
    second = windowed([95.0, 96.0, 97.0], instances=2)
    found = chosen([windowed([90.0, 95.0, 99.0]), second], {"fp32": 0.0})
    assert found["certainty"] == {"verdict": "within the noise", "runner_up": 1}
    assert "within the noise, fp32, 2 instances, batches up to 8, 4 in flight (96.0/s) is as good" in found["reason"]


def windowed(windows, **others):
    return row(sum(windows) / len(windows), windows_per_s=windows, **{"verdict": "steady", **others})


def capacity_of(measured: dict, holds: float | None, breaks: float | None = None) -> dict:
    """Return the entry of capacity.json of a row's configuration."""
    bounds = [rate and {"sent_per_s": rate, "requests": 200} for rate in (holds, breaks)]
    own = {name: measured[name] for name in ("precision", "max_batch_size", "instances", "concurrency")}
    found = {"capacity_per_s": holds, "holds_at": bounds[0], "breaks_at": bounds[1], "verdict": "steady"}
    return {**own, **found, "words": f"{holds} requests/s at random times", "points": [{}]}


def test_the_capacity_decides_where_a_queue_makes_the_closed_loop_look_better(chosen):
    fast, slow = row(120, instances=2), row(100)
    capacities = [capacity_of(fast, 60.0, 66.0), capacity_of(slow, 90.0, 99.0)]
    record = chosen([fast, slow], {"fp32": 0}, capacities=capacities)
    assert (record["instances"], record["measured"]) == (1, slow)
    assert record["capacity"]["capacity_per_s"] == 90
    assert record["reason"].endswith("90.0 requests/s at random times")
    assert record["certainty"]["verdict"] == "clear"
    assert [each["capacity_per_s"] for each in record["candidates"]] == [60, 90]


def test_a_capacity_is_not_compared_with_a_closed_loop(chosen):
    """The second has no capacity, since it was far slower; its 100/s in the closed loop are no rate to count on."""
    measured, other = row(130), row(100, precision="int8")
    record = chosen([measured, other], {"fp32": 0, "int8": 0}, capacities=[capacity_of(measured, 80.0, 88.0)])
    assert record["precision"] == "fp32"
    assert "int8 would need 1.3 times the machines" in record["reason"]


def test_servers_of_another_precision_follow_from_its_capacity_where_the_choice_has_one(chosen):
    """On an H200, INT8 was a quarter faster in the closed loop, and as fast with requests at random times."""
    fp16 = row(6283, precision="fp16", instances=2, gpu_memory_mb=2393)
    int8 = row(8030, precision="int8", instances=2, max_batch_size=32, gpu_memory_mb=4230)
    other = row(6290, precision="int8", instances=2, gpu_memory_mb=4209)
    capacities = [capacity_of(fp16, 4488.0, 5018.0), capacity_of(int8, 4683.0, 5183.0)]
    options = ("--rate", "20000", "--headroom", "0.3")
    record = chosen([fp16, int8, other], {"fp16": 0, "int8": 0}, *options, capacities=capacities)
    assert record["precision"] == "fp16"
    assert "int8 would need as many GPUs" in record["reason"]
    assert [candidate["machines"] for candidate in record["candidates"]] == [7, 7, None]


def test_what_holds_at_no_rate_is_not_chosen_before_another(chosen):
    never, other = row(130), row(100, instances=2)
    record = chosen([never, other], {"fp32": 0}, capacities=[capacity_of(never, None, 10.0), capacity_of(other, 90.0)])
    assert record["instances"] == 2


def test_a_capacity_below_the_limit_is_not_passed_over_for_a_closed_loop(chosen):
    """The configuration itself with fewer requests in flight, and one that was not measured, seem to hold 80/s."""
    measured = row(100, precision="int8")
    rows, options = [measured, measured | {"concurrency": 2}, row(90, instances=2)], ("--min-throughput-per-s", "80")
    proven, capacities = {"int8": 0, "fp32": 0}, [capacity_of(measured, 70.0, 78.0)]
    with pytest.raises(SlipwayError, match=r"with `load_test\.min_throughput_per_s: 70` for 80 one holds"):
        chosen(rows, proven, *options, capacities=capacities)
    record = chosen(rows, proven, *options, "--goal", "fastest", capacities=capacities)
    assert record["precision"] == "fp32"
    assert "int8 never holds all limits (min_throughput_per_s)" in record["reason"]
    assert [len(each["broken"]) for each in record["candidates"]] == [1, 1, 0]


def test_other_goals_and_loads_without_an_open_loop_use_the_closed_one(chosen):
    quick, much = row(100, p99=10), row(200, p99=50, instances=2)
    assert chosen([quick, much], {"fp32": 0})["capacity"] is None
    record = chosen([quick, much], {"fp32": 0}, "--goal", "fastest", capacities=[capacity_of(much, 150.0)])
    assert (record["instances"], record["capacity"]) == (1, None)


def test_the_servers_for_a_rate_are_counted_by_capacity(chosen):
    record = chosen([row(100)], {"fp32": 0}, "--rate", "350", capacities=[capacity_of(row(100), 70.0, 78.0)])
    assert record["candidates"][0]["machines"] == 5


def test_a_capacity_of_another_load_test_is_refused(tmp_path):
    load_test = write(tmp_path, "analysis.json", {"origin": "rehearsal", "measurements": [row()]})
    capacity = write(tmp_path, "capacity.json", {"chosen_from": {"load_test_sha256": "0"}, "configurations": []})
    files = ["--load-test", load_test, "--capacity", capacity, "--accuracy", write(tmp_path, "a.json", proven("fp32"))]
    with pytest.raises(SlipwayError, match="measured after another load test"):
        main(parse_arguments([*files, "--output", str(tmp_path / "s.json"), "--p99-limit-ms", "1000"]))
