"""What each artifact is keyed on, and what it is not."""

import json
import subprocess
import sys
import uuid
from importlib import metadata

import fsspec
import pytest
from helpers.artifacts.configured import ARM_WITH_BF16, WITH_BF16, job_keys, resolved, tensorrt_target

from slipway.core import hardware
from slipway.deploy.local import server_state

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize("name", ["my.safetensors", "my.pth", "model_best.pth.tar", "last.ckpt"])
def test_a_checkpoint_is_told_from_the_name_of_weights(tmp_path, name):
    path = tmp_path / name
    path.touch()
    found = resolved(
        models={"a": {"architecture": "resnet18", "weights": str(path)}, "b": {"weights": "IMAGENET1K_V1"}, "c": {}}
    )
    assert found.checkpoint("a") == str(path)
    assert found.checkpoint("b") is None
    assert found.checkpoint("c") is None


def test_a_local_checkpoint_enters_by_its_content_and_not_by_its_path(tmp_path):
    for name, content in {"my.pth": b"1", "copy.pth": b"1", "new.pth": b"2"}.items():
        (tmp_path / name).write_bytes(content)
    models = {path.stem: {"architecture": "resnet18", "weights": str(path)} for path in tmp_path.glob("*.pth")}
    found = job_keys(models=models | {"b": {"weights": "IMAGENET1K_V1"}})
    assert repr(found.fetch_weights("my")) == repr(found.fetch_weights("copy")) != repr(found.fetch_weights("new"))
    assert "checkpoint_sha256" not in found.fetch_weights("b")
    assert found.fetch_weights("b")["weights"] == "IMAGENET1K_V1"


def test_a_checkpoint_in_storage_enters_by_its_address_and_what_the_storage_says_of_its_content():
    files, address = fsspec.filesystem("memory"), f"memory://{uuid.uuid4().hex}/best.pth"
    files.pipe_file(address, b"1")
    models = {name: {"architecture": "resnet50", "weights": address} for name in ("one", "two")}
    before = job_keys(models=models)
    assert before.fetch_weights("one") == before.fetch_weights("two")
    assert before.fetch_weights("one")["address"] == address
    files.pipe_file(address, b"22")
    assert before.fetch_weights("one") == before.fetch_weights("two")  # asked once
    assert job_keys(models=models).fetch_weights("one") != before.fetch_weights("one")


def test_a_checkpoint_by_its_file_address_is_a_local_one(tmp_path):
    (tmp_path / "my.pth").write_bytes(b"1")
    addresses = {"a": f"file://{tmp_path}/my.pth", "b": f"{tmp_path}/my.pth"}
    found = job_keys(models={name: {"architecture": "resnet50", "weights": each} for name, each in addresses.items()})
    assert found.fetch_weights("a") == found.fetch_weights("b")


def test_photographs_enter_by_what_the_folder_holds(photographs):
    def keys():
        found = job_keys(accuracy={"labelled": str(photographs)}, calibration={"images": str(photographs)})
        return repr(found.check_accuracy("m", "cpu", "fp32")), repr(found.quantize_onnx("m", "int8"))

    before = keys()
    (photographs / "notes.txt").touch()
    assert keys() == before
    (photographs / "1.jpg").write_bytes(b"another")
    assert all(old != new for old, new in zip(before, keys(), strict=True))


def test_a_metric_enters_by_its_name_its_limits_and_its_code(photographs, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "my_metrics.py"
    module.write_text("def error(outputs, samples): return {'error': 0}\n")

    def keys(**metric):
        models = {"m": {"metric": {"function": "my_metrics:error", **metric}}} if metric else {"m": {}}
        found = job_keys(models=models, accuracy={"labelled": str(photographs)})
        return [repr(found.check_accuracy("m", "cpu", "fp32")), repr(found.evaluate_checkpoint("m"))]

    def all_other(*made):
        return all(len(set(each)) == len(made) for each in zip(*made, strict=True))

    before, loose = keys(limits={"error": {"max": 1}}), keys(limits={"error": {"max": 2}})
    assert all_other(keys(), before, loose)
    assert "metric" not in "".join(keys()).replace("metric.py", "")
    module.write_text("def error(outputs, samples): return {'error': 1}\n")
    assert all_other(before, keys(limits={"error": {"max": 1}}))


def test_the_code_of_a_program_is_part_of_its_key_and_no_option():
    settings = job_keys().build_engine("cpu", "fp32")
    assert "scripts/build_engine.py" in settings["code"]
    assert "scripts/slipway/runtimes/openvino/__init__.py" in settings["code"]
    assert "scripts/slipway/runtimes/onnxruntime/__init__.py" not in settings["code"]
    assert "--code" not in str(settings)
    assert "build_engine.py" in repr(settings)


def test_the_driver_is_no_part_of_any_key(monkeypatch):
    """It is recorded; see test_gpu_monitor."""
    # As it is, but asked each time.
    monkeypatch.setattr(hardware, "gpu_identity", hardware.gpu_identity.__wrapped__)

    def keys(driver):
        told = {"nvmlDeviceGetName": "NVIDIA L4", "nvmlDeviceGetCudaComputeCapability": (8, 9)}
        monkeypatch.setattr("slipway.core.nvml.open_device", lambda: (None, None))
        monkeypatch.setattr("slipway.core.nvml.query", lambda _, name, *__: told.get(name, driver))
        found = job_keys({"l4": tensorrt_target() | {"hardware": "auto"}})
        return [repr(found.build_engine("l4", "fp16")), repr(found.benchmark("m", "l4"))]

    assert keys("580.65") == keys("590.10")
    assert "NVIDIA L4" in keys("590.10")[0]


@pytest.mark.parametrize(
    "choosing",
    [
        {"p99_limit_ms": 10},
        {"memory_limit_mb": 500},
        {"min_throughput_per_s": 50},
        {"max_accuracy_loss": 0.1},
        {"goal": "fastest"},
    ],
    ids=str,
)
def test_what_only_chooses_among_measurements_does_not_repeat_them(choosing):
    found = job_keys(load_test=choosing)
    assert repr(found.load_test("m", "cpu")) == repr(job_keys().load_test("m", "cpu"))
    assert repr(found.choose_configuration("cpu")) != repr(job_keys().choose_configuration("cpu"))


def test_a_wider_limit_brings_back_an_engine_that_was_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = tmp_path / "results/m/cpu/analysis/analysis.json"
    record.parent.mkdir(parents=True)
    slow = {"precision": "fp32", "limit": "p99_ms", "allowed": 10, "figure": 12}

    def widened(limit, last, left_out):
        record.write_text(json.dumps({"key": last, "left_out": left_out}), encoding="utf-8")
        return job_keys(load_test={"p99_limit_ms": limit}).load_test("m", "cpu").get("widened")

    assert widened(10, {}, [slow]) is None
    assert widened(12, {}, [slow]) == 1
    # That load test leaves it out no more, and is not stale again.
    assert widened(12, {"widened": 1}, []) == 1
    assert widened(10, {"widened": 1}, []) == 1
    assert widened(13, {"widened": 1}, [slow]) == 2


OPEN_LOOP = {"request_rates": [10, 20], "capacity_minutes": 1}


def test_the_open_loop_makes_capacities_stale_and_no_load_test():
    found, before = job_keys(load_test=OPEN_LOOP), job_keys()
    assert repr(found.load_test("m", "cpu")) == repr(before.load_test("m", "cpu"))
    assert "--capacity-minutes=1 " in str(found.measure_capacity("cpu"))
    assert "--request-rates 10 20 " in f"{found.measure_capacity('cpu')} "
    assert "--request-rates auto" in str(before.measure_capacity("cpu"))


@pytest.mark.parametrize(
    "changed",
    [
        {"load_test": {"request_rates": []}},
        {"load_test": {"capacity_minutes": 1}},
        {"load_test": {"requests": 99}},
        {"load_test": {"p99_limit_ms": 99}},
        {"load_test": {"goal": "fastest"}},
        {"targets": {"cpu": {"runtime": "openvino", "hardware": "another CPU"}}},
    ],
)
def test_a_capacity_is_that_of_its_settings_limits_and_hardware(changed):
    assert repr(job_keys(**changed).measure_capacity("cpu")) != repr(job_keys().measure_capacity("cpu"))


@pytest.mark.parametrize("setting", [{"rate": 100}, {"headroom": 0.1}])
def test_the_expected_rate_makes_no_capacity_stale(setting):
    found, before = job_keys(deploy=setting), job_keys()
    assert repr(found.measure_capacity("cpu")) == repr(before.measure_capacity("cpu"))
    assert repr(found.write_manifests()) != repr(before.write_manifests())


def test_the_headroom_makes_the_alerts_stale():
    assert repr(job_keys(deploy={"headroom": 0.1}).write_monitoring()) != repr(job_keys().write_monitoring())


def test_the_price_of_a_target_is_of_its_choice_alone():
    found = job_keys({"cpu": {"price_per_hour": 3}, "other": {"price_per_hour": 4}})
    assert "--price-per-hour=3" in str(found.choose_configuration("cpu"))
    assert "--price-per-hour=4" in str(found.choose_configuration("other"))
    assert "price" not in str(found.load_test("m", "cpu"))


def test_the_limits_of_one_precision_do_not_touch_the_other():
    changed = job_keys(accuracy={"limits": {"bf16": {"min_cosine": 0.5}}})
    assert repr(changed.check_accuracy("m", "cpu", "fp32")) == repr(job_keys().check_accuracy("m", "cpu", "fp32"))
    assert repr(changed.check_accuracy("m", "cpu", "bf16")) != repr(job_keys().check_accuracy("m", "cpu", "bf16"))


@pytest.mark.parametrize("change", [{"hardware": ARM_WITH_BF16}, {"hardware": WITH_BF16, "runtime": "onnxruntime"}])
def test_an_engine_is_keyed_on_hardware_and_runtime(change):
    assert repr(job_keys({"cpu": change}).build_engine("cpu", "fp32")) != repr(job_keys().build_engine("cpu", "fp32"))


def test_an_engine_is_keyed_on_its_precision():
    assert repr(job_keys().build_engine("cpu", "fp32")) != repr(job_keys().build_engine("cpu", "bf16"))


def test_versions_are_those_that_are_installed():
    import torch

    assert job_keys().export_onnx("m")["torch_version"].split("+")[0] == torch.__version__.split("+")[0]


@pytest.mark.parametrize("package", ["torch", "onnxscript", "onnxslim"])
def test_an_onnx_file_depends_on_what_writes_it(package, monkeypatch):
    before = job_keys().export_onnx("m")
    monkeypatch.setattr(
        "slipway.core.job_preconditions.package_version",
        lambda name: "9" if name == package else metadata.version(name),
    )
    changed = {name for name, value in job_keys().export_onnx("m").items() if value != before[name]}
    assert changed == {f"{package}_version"}


def test_the_crop_reaches_the_graph_and_the_profile():
    found = job_keys(models={"m": {"preprocess": {"crop": 64}}})
    graphs = [found.export_onnx("m"), found.profile_model("m")]
    assert [json.loads(settings["inputs"])["crop"] for settings in graphs] == [64] * 2


def test_a_dead_server_makes_the_receipt_stale():
    before = job_keys().deploy_release()
    listening = {"http": 1, "grpc": 2, "metrics": 3, "host": "127.0.0.1"}
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server_state.write_state(server_state.FOLDER, ended.pid, 1, listening, None, "stand-in")
    assert repr(job_keys().deploy_release()) == repr(before)
    ended.communicate()
    assert repr(job_keys().deploy_release()) != repr(before)


# TensorRT's engines


@pytest.mark.parametrize(
    "change",
    [
        {"version": "10.9.0.34"},
        {"cuda": "cu12"},
        {"profiles": [{"min": 1, "opt": 4, "max": 8}]},
        {"workspace_mb": 4096},
        {"optimization_level": 5},
        {"tf32": True},
        {"tactic_sources": ["JIT_CONVOLUTIONS"]},
        {"compatibility": "hardware"},
        {"refit": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_engine_is_keyed_on_everything_that_the_builder_is_told(change):
    before, after = job_keys({"h100": tensorrt_target()}), job_keys({"h100": tensorrt_target(**change)})
    assert repr(before.build_engine("h100", "fp16")) != repr(after.build_engine("h100", "fp16"))


@pytest.mark.parametrize("change", [{"python": "/elsewhere/python"}, {"timing_cache": False}, {"max_slowdown": 0.5}])
def test_an_engine_is_not_keyed_on_where_or_how_fast_it_is_built(change):
    before, after = job_keys({"h100": tensorrt_target()}), job_keys({"h100": tensorrt_target(**change)})
    assert repr(before.build_engine("h100", "fp16")) == repr(after.build_engine("h100", "fp16"))
