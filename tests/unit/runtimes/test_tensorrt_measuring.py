"""What is measured of an engine, with CUDA graphs and without, over stand-ins; tests/gpu measures TensorRT itself."""

import pytest
from helpers.gpu_stand_in import BINDINGS, CLASSES, CROP, write_engine
from helpers.gpu_stand_in.asking import SAMPLES, TWO_PROFILES, assert_answers, logits, pictures

from benchmark import QUANTITIES
from slipway.runtimes.tensorrt import measuring
from slipway.runtimes.tensorrt.measuring import measure, profile_choice
from slipway.runtimes.tensorrt.runner import Engine


def measured(path, batch, streams=(1, 2), engine=None):
    return measure(engine or Engine(path, "fp32"), batch, 0.08, 0.01, 3, list(streams))


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
@pytest.mark.parametrize("batch", [1, 4])
def test_measuring_with_graphs(graphs, tmp_path, dtype, batch):
    path = write_engine(tmp_path / "m.trt", dtype=dtype, profiles=TWO_PROFILES)
    found = measured(path, batch)
    assert (found["profile"], found["binding"]) == (int(batch > 1), "cuda-bindings")
    assert found["no_graph_reason"] is None
    assert list(found["samples_ms"]) == SAMPLES
    assert all(len(series) >= 3 and min(series) >= 0 for series in found["samples_ms"].values())
    for key in ("throughput_per_s", "throughput_graph_per_s", "throughput_with_transfers_per_s"):
        assert list(found[key]) == ["1", "2"]
        assert min(found[key].values()) > 0
    largest = TWO_PROFILES[found["profile"]]["max"]
    picture = 3 * CROP * CROP * (4 if dtype == "FLOAT" else 1)
    assert found["device_memory_bytes"] == path.stat().st_size + 4096 + largest * (picture + CLASSES * 4)


def test_a_record_says_which_profile_runs_and_why(graphs, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")
    single = engine.profiles[0]
    assert single["max"] < 4
    alone = profile_choice(engine, 4)
    assert alone == {"reason": "no other profile accepts batch 4", "gpu_ms": {}, "faster": None}
    both = profile_choice(engine, 1)
    assert both["reason"] == f"its optimum, batch {single['opt']}, is the nearest to 1"
    assert list(both["gpu_ms"]) == ["0", "1"]
    assert measured(tmp_path / "m.trt", 1)["profile_choice"]["reason"] == both["reason"]


@pytest.mark.parametrize(
    ("times", "faster"), [({0: 0.5, 1: 0.38}, 1), ({0: 0.4, 1: 0.39}, None), ({0: 0.3, 1: 1}, None)]
)
def test_a_profile_that_another_one_beats_is_named(graphs, tmp_path, monkeypatch, times, faster):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")
    monkeypatch.setattr(measuring, "_gpu_times", lambda *_: times)
    choice = profile_choice(engine, 1)
    assert choice["faster"] == faster
    assert choice["gpu_ms"] == {"0": times[0], "1": times[1]}


def test_profiles_that_cannot_be_timed_lose_no_measurement(graphs, tmp_path, monkeypatch):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")

    def too_little(*_):
        raise ValueError("the GPU has too little free memory")

    monkeypatch.setattr(measuring, "_gpu_times", too_little)
    assert profile_choice(engine, 1)["reason"].endswith("were not timed: the GPU has too little free memory")


def test_the_samples_of_a_slow_engine_have_a_bound_in_time(graphs, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt"), "fp32")
    found = measure(engine, 1, 0.02, 0.01, min_samples=10**9, streams=[1], budget_seconds=0.08)
    assert all(1 <= len(series) < 10**6 for series in found["samples_ms"].values())


def test_a_record_says_what_each_figure_is(graphs, tmp_path):
    found = measured(write_engine(tmp_path / "m.trt"), 1)
    figures = [*found["samples_ms"], *(name for name in found if name.endswith(("_per_s", "_bytes")))]
    assert {name.replace("_graph", "") for name in figures} <= set(QUANTITIES)


@pytest.mark.parametrize(
    ("bindings", "vice", "reason"),
    [("pycuda", None, "cuda-bindings cannot be imported"), ("both", "waits", "STREAM_CAPTURE_INVALIDATED")],
)
def test_measuring_without_graphs(with_bindings, tmp_path, bindings, vice, reason):
    with_bindings(*BINDINGS[bindings])
    found = measured(write_engine(tmp_path / "m.trt", vice=vice), 2)
    assert reason in found["no_graph_reason"]
    missing = [name for name, series in found["samples_ms"].items() if series is None]
    assert missing == ["gpu_graph", "enqueue_graph", "end_to_end_graph"]
    assert found["throughput_graph_per_s"] is None
    assert list(found["throughput_per_s"]) == list(found["throughput_with_transfers_per_s"]) == ["1", "2"]


def test_an_engine_measured_again_needs_no_further_memory(gpu, tmp_path):
    path = write_engine(tmp_path / "m.trt")
    engine = Engine(path, "fp32")
    measured(path, 4, engine=engine)
    before, events = gpu.allocations, len(gpu.events)
    measured(path, 4, engine=engine)
    assert (gpu.allocations, len(gpu.events)) == (before, events)
    assert_answers(logits(engine, pictures(4)), pictures(4))


def test_measuring_a_batch_outside_the_profiles_is_refused(gpu, tmp_path):
    with pytest.raises(ValueError, match="takes batch size 9"):
        measured(write_engine(tmp_path / "m.trt"), 9)
