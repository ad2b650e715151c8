"""The TensorRT runner's own logic, over stand-ins; tests/gpu runs it on TensorRT and a GPU."""

import sys

import numpy as np
import pytest
from stand_in import CLASSES, CROP, Gpu, logits_of, stand_ins, write_engine, write_interpreter

from slipway.errors import SlipwayError
from slipway.remote_engine import RemoteEngine
from slipway.runtimes.tensorrt import device
from slipway.runtimes.tensorrt.measuring import Measurement
from slipway.runtimes.tensorrt.runner import Engine

BINDINGS = {"pycuda": ["pycuda"], "cuda-bindings": ["cuda-bindings"], "both": ["pycuda", "cuda-bindings"]}
TWO_PROFILES = [{"min": 1, "opt": 1, "max": 1}, {"min": 1, "opt": 128, "max": 256}]
SAMPLES = ["gpu", "gpu_graph", "enqueue", "enqueue_graph", "h2d", "d2h", "end_to_end", "end_to_end_graph"]


@pytest.fixture
def use(monkeypatch):
    """Return a function that puts a GPU with some bindings under the runner."""
    ours = [f"slipway.runtimes.tensorrt.{name}" for name in ("with_pycuda", "with_cuda_bindings")]

    def choose(*bindings):
        gpu = Gpu()
        for name, module in stand_ins(gpu, *bindings).items():
            monkeypatch.setitem(sys.modules, name, module)
        return gpu

    for name in ours:
        sys.modules.pop(name, None)
    yield choose
    for name in ours:
        sys.modules.pop(name, None)


@pytest.fixture(params=BINDINGS)
def gpu(use, request):
    return use(*BINDINGS[request.param])


@pytest.fixture
def graphs(use):
    """Return a GPU where CUDA graphs can be recorded."""
    return use("cuda-bindings")


def pictures(count, seed=0, dtype=np.float32):
    random = np.random.default_rng(seed)
    shape = (count, 3, CROP, CROP)
    if dtype == np.uint8:
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.standard_normal(shape, dtype=np.float32)


def assert_answers(logits, batch):
    assert (logits.shape, logits.dtype) == ((len(batch), CLASSES), np.float32)
    np.testing.assert_allclose(logits, logits_of(batch), rtol=1e-4, atol=1e-3)


def test_every_binding_describes_and_runs_the_gpu(gpu):
    found = device.open_device()
    assert (found.name, found.compute_capability, found.driver_cuda) == ("Stand-in GPU", "9.0", 13000)
    assert found.free_and_total() == (gpu.free, gpu.total)
    assert device.gpu_here() == "Stand-in GPU (compute capability 9.0)"
    described = device.describe_gpu()
    assert (described["name"], described["driver_cuda"]) == ("Stand-in GPU", "13.0")
    assert described["memory_bytes"] == gpu.total
    with pytest.raises(ValueError, match="stop what else uses it"):
        found.allocate(gpu.free + 1)
    found.close()
    with pytest.raises(ValueError, match="no usable GPU"):
        device.open_device(index=1)


def test_no_binding_is_told(use):
    use()
    with pytest.raises(ValueError, match=r"neither can be imported \(pycuda: .*cuda-bindings: "):
        device.open_device()


def test_no_driver_is_told(use, monkeypatch):
    use("cuda-bindings")

    def no_library(_):
        raise RuntimeError('"cuda" is an NVIDIA driver library')  # as cuda-bindings 13 does

    monkeypatch.setattr(sys.modules["cuda.bindings.driver"], "cuInit", no_library)
    with pytest.raises(ValueError, match="no usable GPU"):
        device.open_device()


def test_a_closed_device_leaves_no_context_current(use, monkeypatch):
    use("cuda-bindings")
    driver, said = sys.modules["cuda.bindings.driver"], []
    for name in ("cuCtxSetCurrent", "cuDevicePrimaryCtxRelease"):
        call = getattr(driver, name)
        monkeypatch.setattr(driver, name, lambda value, name=name, call=call: said.append((name, value)) or call(value))
    device.gpu_here()
    assert said == [("cuCtxSetCurrent", 1), ("cuCtxSetCurrent", 0), ("cuDevicePrimaryCtxRelease", 0)]


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
def test_infer(gpu, tmp_path, dtype):
    engine = Engine(write_engine(tmp_path / "m.trt", dtype=dtype), "fp32")
    kept = []
    for count in (1, 3, 8, 3, 1, 3, 8):
        batch = pictures(count, count + len(kept), np.uint8 if dtype == "UINT8" else np.float32)
        kept.append((engine.infer(batch), batch))
    for logits, batch in kept:
        assert_answers(logits, batch)


def test_batches_larger_than_the_engines_are_cut(gpu, tmp_path):
    batch = pictures(19)
    assert_answers(Engine(write_engine(tmp_path / "m.trt"), "fp32").infer(batch), batch)
    assert [size for size in gpu.did if isinstance(size, int)] == [8, 8, 3]


def test_several_requests_run_as_one_batch_in_order(gpu, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt"), "fp32")
    for seed in range(3):
        batches = [pictures(count, seed * 10 + count) for count in (2, 1, 3)]
        logits = engine.infer_all(batches)
        assert_answers(logits, np.concatenate(batches))
        assert np.shares_memory(logits, engine.lane(0).host_output)
    assert [size for size in gpu.did if isinstance(size, int)] == [6, 6, 6]


def test_nothing_is_allocated_after_the_first_time(gpu, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt"), "fp32")
    for count in (4, 2):
        engine.infer_all([pictures(count)])
    before = gpu.allocations
    for count in (4, 2, 4):
        engine.infer_all([pictures(count)])
    assert gpu.allocations == before


@pytest.mark.parametrize("sizes", [(1, 2, 1), (2, 1, 2)])
def test_the_profile_nearest_to_the_batch_is_taken(gpu, tmp_path, sizes):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")
    assert [engine.profile_for(count) for count in (1, 2, 128, 256)] == [0, 1, 1, 1]
    for count in sizes:
        assert_answers(engine.infer(pictures(count)), pictures(count))
    batch = pictures(300)
    assert_answers(engine.infer(batch), batch)


def test_a_batch_outside_the_profiles_is_refused(gpu, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=[{"min": 2, "opt": 4, "max": 8}]), "fp32")
    for count in (1, 9):
        with pytest.raises(ValueError, match=f"takes batch size {count}"):
            engine.infer_all([pictures(count)])
    assert_answers(engine.infer_all([pictures(2)]), pictures(2))


def test_a_graph_is_recorded_once_a_batch_size_and_launched_from_then_on(graphs, tmp_path):
    engine = Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp32")
    for count in (1, 3, 1, 3, 2, 3):
        engine.infer(pictures(count, count))
    assert graphs.did == [1, "record", 3, "record", "launch", 1, "launch", 3, 2, "record", "launch", 3]


def test_without_cuda_bindings_there_are_no_graphs(use, tmp_path):
    gpu = use("pycuda")
    engine = Engine(write_engine(tmp_path / "m.trt"), "fp32")
    for _ in range(3):
        assert_answers(engine.infer(pictures(3)), pictures(3))
    assert gpu.did == [3, 3, 3]


@pytest.mark.parametrize("bindings", ["cuda-bindings", "both"])
def test_an_engine_that_cannot_be_recorded_runs_without_graphs(use, tmp_path, bindings):
    gpu = use(*BINDINGS[bindings])
    engine = Engine(write_engine(tmp_path / "m.trt", vice="waits"), "fp32")
    for seed in range(3):
        assert_answers(engine.infer(pictures(3, seed)), pictures(3, seed))
    assert "launch" not in gpu.did


def test_a_damaged_engine_is_told(gpu, tmp_path):
    path = tmp_path / "m.trt"
    path.write_bytes(b"ftrt")
    with pytest.raises(ValueError, match=r"8\.5\.3\.1 cannot load .*m\.trt.*magicTagRead"):
        Engine(path, "fp32")


def test_too_little_memory_is_told(gpu, tmp_path):
    gpu.free = 100
    with pytest.raises(ValueError, match="stop what else uses it"):
        Engine(write_engine(tmp_path / "m.trt"), "fp32").infer(pictures(1))


def test_the_layers_of_the_first_profile_are_counted(gpu, tmp_path):
    assert Engine(write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES), "fp16").layers() == {"fp16": 1}


def measured(path, batch, streams=(1, 2), engine=None):
    return Measurement(engine or Engine(path, "fp32"), path, "fp32", batch, 0.08, 0.01).run(3, list(streams))


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
@pytest.mark.parametrize("batch", [1, 4])
def test_measuring_with_graphs(graphs, tmp_path, dtype, batch):
    path = write_engine(tmp_path / "m.trt", dtype=dtype, profiles=TWO_PROFILES)
    found = measured(path, batch)
    assert (found["batch"], found["profile"], found["binding"]) == (batch, int(batch > 1), "cuda-bindings")
    assert found["no_graph_because"] is None
    assert list(found["samples_ms"]) == SAMPLES
    assert all(len(series) >= 3 and min(series) >= 0 for series in found["samples_ms"].values())
    for key in ("throughput_per_s", "throughput_graph_per_s", "throughput_with_transfers_per_s"):
        assert list(found[key]) == ["1", "2"]
        assert min(found[key].values()) > 0
    largest = TWO_PROFILES[found["profile"]]["max"]
    picture = 3 * CROP * CROP * (4 if dtype == "FLOAT" else 1)
    assert found["device_memory_bytes"] == path.stat().st_size + 4096 + largest * (picture + CLASSES * 4)


@pytest.mark.parametrize(
    ("bindings", "vice", "reason"),
    [("pycuda", None, "cuda-bindings cannot be imported"), ("both", "waits", "STREAM_CAPTURE_INVALIDATED")],
)
def test_measuring_without_graphs(use, tmp_path, bindings, vice, reason):
    use(*BINDINGS[bindings])
    found = measured(write_engine(tmp_path / "m.trt", vice=vice), 2)
    assert reason in found["no_graph_because"]
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
    assert_answers(engine.infer(pictures(4)), pictures(4))


def test_measuring_a_batch_outside_the_profiles_is_refused(gpu, tmp_path):
    with pytest.raises(ValueError, match="takes batch size 9"):
        measured(write_engine(tmp_path / "m.trt"), 9)


@pytest.fixture
def python(tmp_path):
    """Return an interpreter that has TensorRT and both bindings."""
    return write_interpreter(tmp_path, sys.executable, "pycuda", "cuda-bindings")


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
def test_a_remote_engine(python, tmp_path, dtype):
    path = write_engine(tmp_path / "m.trt", dtype=dtype, profiles=TWO_PROFILES)
    kind = np.uint8 if dtype == "UINT8" else np.float32
    with RemoteEngine(path, "fp16", python) as engine:
        for count in (1, 3, 300, 3):
            batch = pictures(count, count, kind)
            assert_answers(engine.infer(batch), batch)
        batches = [pictures(count, count, kind) for count in (2, 1)]
        assert_answers(engine.infer_all(batches), np.concatenate(batches))
        strided = pictures(4, dtype=kind)[::2]
        assert_answers(engine.infer(strided), strided)
        assert engine.layers() == {"fp16": 1}
        found = engine.measure(4, seconds=0.08, warmup_seconds=0.01, min_samples=3, streams=[1, 2])
        assert list(found["samples_ms"]) == SAMPLES
        assert (found["batch"], found["profile"], found["binding"]) == (4, 1, "pycuda")
        assert list(found["throughput_graph_per_s"]) == ["1", "2"]
        batch = pictures(3, 9, kind)
        assert_answers(engine.infer(batch), batch)
        process = engine._process
    assert process.returncode == 0


def test_a_remote_engines_error_is_told_and_the_next_request_answered(python, tmp_path):
    path = write_engine(tmp_path / "m.trt", profiles=[{"min": 2, "opt": 4, "max": 8}])
    with RemoteEngine(path, "fp32", python) as engine:
        for _ in range(2):
            with pytest.raises(SlipwayError, match="takes batch size 1"):
                engine.infer(pictures(1))
            assert_answers(engine.infer(pictures(2)), pictures(2))
        with pytest.raises(SlipwayError, match="takes batch size 9"):
            engine.measure(9, 0.1, 0.1, 2, [1])


def test_a_remote_engine_that_cannot_be_loaded_is_told(python, tmp_path):
    (tmp_path / "m.trt").write_bytes(b"ftrt")
    with RemoteEngine(tmp_path / "m.trt", "fp32", python) as engine, pytest.raises(SlipwayError, match="cannot load"):
        engine.layers()


def test_an_interpreter_without_tensorrt_is_told(tmp_path):
    python = write_interpreter(tmp_path, sys.executable)
    customize = tmp_path / "site" / "sitecustomize.py"
    customize.write_text("import sys\nsys.modules['tensorrt'] = None\n", encoding="utf-8")
    with (
        RemoteEngine(tmp_path / "m.trt", "fp32", python) as engine,
        pytest.raises(SlipwayError, match="no usable tensorrt"),
    ):
        engine.layers()


def test_an_interpreter_that_cannot_be_started_is_told(tmp_path):
    with pytest.raises(SlipwayError, match=r"cannot be started .*tensorrt\.python"):
        RemoteEngine(tmp_path / "m.trt", "fp32", tmp_path / "absent")


def test_a_worker_that_dies_is_told(python, tmp_path):
    path = write_engine(tmp_path / "m.trt", vice="dies")
    with RemoteEngine(path, "fp32", python) as engine:
        for _ in range(2):  # at work, and long ago
            with pytest.raises(SlipwayError, match="ended with exit code 7"):
                engine.infer(pictures(8))


def test_a_worker_that_dies_while_it_answers_is_told(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "{}"\nexit 3\n', encoding="utf-8")
    python.chmod(0o755)
    with (
        RemoteEngine(tmp_path / "m.trt", "fp32", python) as engine,
        pytest.raises(SlipwayError, match="ended with exit code 3"),
    ):
        engine.infer(pictures(1))
