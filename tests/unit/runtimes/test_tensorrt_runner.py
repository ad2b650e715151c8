"""The TensorRT runner's own logic, over stand-ins; tests/gpu runs it on TensorRT and a GPU."""

import os
import sys

import numpy as np
import pytest
from helpers.gpu_stand_in import BINDINGS, write_engine
from helpers.gpu_stand_in.asking import TWO_PROFILES, assert_answers, logits, logits_of_all, pictures

from slipway.runtimes.tensorrt.runner import Engine


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
def test_infer(gpu, tmp_path, dtype):
    engine = Engine(write_engine(tmp_path / "m.trt", dtype=dtype), "fp32")
    kept = []
    for count in (1, 3, 8, 3, 1, 3, 8):
        batch = pictures(count, count + len(kept), np.uint8 if dtype == "UINT8" else np.float32)
        kept.append((logits(engine, batch), batch))
    for answer, batch in kept:
        assert_answers(answer, batch)


def test_engines_with_plugins_and_with_a_runtime_of_their_own_are_loaded(gpu, tmp_path, monkeypatch):
    library, registered = sys.modules["tensorrt"], []

    class Wary(library.Runtime):
        engine_host_code_allowed = False

        def deserialize_cuda_engine(self, plan):
            return super().deserialize_cuda_engine(plan) if registered and self.engine_host_code_allowed else None

    monkeypatch.setattr(library, "Runtime", Wary)
    monkeypatch.setattr(library, "init_libnvinfer_plugins", lambda log, space: registered.append(space), raising=False)
    batch = pictures(2)
    assert_answers(logits(Engine(write_engine(tmp_path / "m.trt"), "fp32"), batch), batch)


def test_batches_larger_than_the_engines_are_cut(gpu, tmp_path):
    batch = pictures(19)
    assert_answers(logits(Engine(write_engine(tmp_path / "m.trt"), "fp32"), batch), batch)
    assert [size for size in gpu.did if isinstance(size, int)] == [8, 8, 3]


def test_several_requests_run_as_one_batch_in_order(gpu, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt"), "fp32")
    for seed in range(3):
        batches = [pictures(count, seed * 10 + count) for count in (2, 1, 3)]
        answer = logits_of_all(engine, batches)
        assert_answers(answer, np.concatenate(batches))
        assert np.shares_memory(answer, engine.stream_context(0).outputs["logits"].host)
    assert [size for size in gpu.did if isinstance(size, int)] == [6, 6, 6]


def test_nothing_is_allocated_after_the_first_time(gpu, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt"), "fp32")
    for count in (4, 2):
        logits_of_all(engine, [pictures(count)])
    before = gpu.allocations
    for count in (4, 2, 4):
        logits_of_all(engine, [pictures(count)])
    assert gpu.allocations == before


@pytest.mark.parametrize("sizes", [(1, 2, 1), (2, 1, 2)])
def test_the_profile_nearest_to_the_batch_is_taken(gpu, tmp_path, sizes):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")
    assert [engine.profile_for(count) for count in (1, 2, 128, 256)] == [0, 1, 1, 1]
    for count in sizes:
        assert_answers(logits(engine, pictures(count)), pictures(count))
    batch = pictures(300)
    assert_answers(logits(engine, batch), batch)


def test_a_second_profile_does_not_fill_the_log(gpu, tmp_path, capfd):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")
    for _ in range(3):
        logits_of_all(engine, [pictures(2)])
    assert "is not in profile" not in capfd.readouterr().err
    with pytest.raises(ValueError, match=r"takes input from \(1, 3, 4, 4\) to \(1, 3, 4, 4\), not \(2, 3, 4, 4\)"):
        engine.stream_context(0).set_shapes({"input": (2, 3, 4, 4)})
    assert "TensorRT: (2, 3, 4, 4) is not within the profile" in capfd.readouterr().err


def test_a_batch_outside_the_profiles_is_refused(gpu, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=[{"min": 2, "opt": 4, "max": 8}]), "fp32")
    for count in (1, 9):
        with pytest.raises(ValueError, match=f"takes batch size {count}"):
            logits_of_all(engine, [pictures(count)])
    assert_answers(logits_of_all(engine, [pictures(2)]), pictures(2))


@pytest.mark.parametrize(("dtype", "other"), [("UINT8", np.float32), ("FLOAT", np.float64), ("FLOAT", np.uint8)])
def test_a_batch_of_another_type_or_shape_is_refused_and_not_cast(gpu, tmp_path, dtype, other):
    engine = Engine(write_engine(tmp_path / "m.trt", dtype=dtype), "fp32")
    own = np.uint8 if dtype == "UINT8" else np.float32
    good = pictures(2, dtype=own)
    for wrong in (good.astype(other), good[:, :1], good[:, 0]):
        with pytest.raises(ValueError, match=f"the engine takes {np.dtype(own)} .*, not {wrong.dtype}"):
            logits_of_all(engine, [good, wrong])
    assert_answers(logits_of_all(engine, [good]), good)


def test_a_graph_is_recorded_once_a_batch_size_and_launched_from_then_on(graphs, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")
    for count in (1, 3, 1, 3, 2, 3):
        logits(engine, pictures(count, count))
    assert graphs.did == [1, "record", 3, "record", "launch", 1, "launch", 3, 2, "record", "launch", 3]


def test_without_cuda_bindings_there_are_no_graphs(with_bindings, tmp_path):
    gpu = with_bindings("pycuda")
    engine = Engine(write_engine(tmp_path / "m.trt"), "fp32")
    for _ in range(3):
        assert_answers(logits(engine, pictures(3)), pictures(3))
    assert gpu.did == [3, 3, 3]


@pytest.mark.parametrize("bindings", ["cuda-bindings", "both"])
def test_an_engine_that_cannot_be_recorded_runs_without_graphs(with_bindings, tmp_path, bindings):
    gpu = with_bindings(*BINDINGS[bindings])
    engine = Engine(write_engine(tmp_path / "m.trt", vice="waits"), "fp32")
    for seed in range(3):
        assert_answers(logits(engine, pictures(3, seed)), pictures(3, seed))
    assert "launch" not in gpu.did


def test_a_damaged_engine_is_told(gpu, tmp_path):
    path = tmp_path / "m.trt"
    path.write_bytes(b"ftrt")
    with pytest.raises(ValueError, match=r"8\.5\.3\.1 cannot load .*m\.trt.*magicTagRead"):
        Engine(path, "fp32")


def test_a_library_that_does_not_start_says_what_it_warned_of(gpu, tmp_path, monkeypatch):
    def runtime(log):
        log.log(log.Severity.WARNING, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(sys.modules["tensorrt"], "Runtime", runtime)
    with pytest.raises(ValueError, match=r"cannot start on this machine \(CUDA .* error: 35\)"):
        Engine(write_engine(tmp_path / "m.trt"), "fp32")


def test_the_shell_does_not_decide_on_tf32(gpu, tmp_path, monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    Engine(write_engine(tmp_path / "m.trt"), "fp32")
    assert "NVIDIA_TF32_OVERRIDE" not in os.environ


def test_too_little_memory_is_told(gpu, tmp_path):
    gpu.free = 100
    with pytest.raises(ValueError, match="stop other programs that use it"):
        logits(Engine(write_engine(tmp_path / "m.trt"), "fp32"), pictures(1))
