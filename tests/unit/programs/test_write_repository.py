import subprocess
import sys

import pytest
from helpers.models.classifier_contract import classifier

from slipway.core.artifacts import sha256, write_json
from slipway.engines.engine_artifact import BuiltEngine
from slipway.runtimes import RUNTIMES
from slipway.triton.repository.model_config import ServingOptions, read_config
from slipway.triton.repository.model_folder import served_model, write_model

PROFILES = [{"min": 1, "opt": 1, "max": 1}, {"min": 1, "opt": 8, "max": 32}]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the model folder of an engine; what is in the engine does not matter here."""

    def written(runtime, suffix, dtype="float32", options=None, **record):
        engine = tmp_path / f"m.fp16{suffix}"
        engine.write_text("plan", encoding="utf-8")
        key = {"runtime": runtime, "precision": "fp16"}
        names = {"inputs": ("input", dtype), "outputs": ("logits", "float32")}
        facts = {"tensors": {side: [{"name": name, "dtype": kind}] for side, (name, kind) in names.items()}}
        facts |= {"profiles": []} if RUNTIMES[runtime].is_tensorrt else {}
        write_json(tmp_path / "m.engine.json", {"files": {engine.name: sha256(engine)}, "key": key, **facts, **record})
        (tmp_path / "labels.txt").write_text("cat\ndog\n", encoding="utf-8")
        built = BuiltEngine.of_record(tmp_path / "m.engine.json")
        served = served_model("m_trt", built, classifier(dtype, 64, 2), max_batch=16, instances=2, options=options)
        write_model(tmp_path / "m_trt", served, built, tmp_path / "labels.txt")
        return tmp_path / "m_trt"

    return written


def test_tensorrts_package_travels_whole_and_clean(write):
    folder = write("tensorrt", ".trt", dtype="uint8", profiles=PROFILES)
    assert (folder / "1" / "model.plan").read_text(encoding="utf-8") == "plan"
    assert (folder / "1" / "engine" / "__init__.py").is_file()
    assert not list(folder.rglob("__pycache__"))
    assert not (folder / "1" / "engine.py").exists()


def test_the_package_is_complete_without_slipway(write):
    """The adapter imports Engine from it where neither Slipway nor TensorRT may be."""
    version = write("tensorrt", ".trt", profiles=PROFILES) / "1"
    code = "import sys; sys.path.insert(0, sys.argv[1]); from engine import Engine; print(callable(Engine))"
    command = [sys.executable, "-I", "-B", "-c", code, version]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"


def test_both_configurations_of_a_tensorrt_engine(write):
    options = ServingOptions(cuda_graphs=True)
    folder = write("tensorrt", ".trt", dtype="uint8", options=options, profiles=PROFILES)
    native, python = read_config(folder / "config.pbtxt"), read_config(folder / "configs" / "python.pbtxt")
    assert (native.backend, native.default_model_filename) == ("tensorrt", "model.plan")
    assert list(native.instance_group[0].profile) == ["0", "1"]
    assert [spec.batch_size for spec in native.optimization.cuda.graph_spec] == [1, 8, 16]
    assert python.backend == "python"
    assert python.parameters["engine"].string_value == "model.plan"
    assert native.input[0].data_type == python.input[0].data_type
    assert list(native.input[0].dims) == list(python.input[0].dims) == [3, 64, 64]


def test_tensorrt_for_rtx_is_served_by_the_python_backend_alone(write):
    folder = write("tensorrt_rtx", ".rtx", profiles=PROFILES)
    assert (folder / "1" / "model.rtx").is_file()
    assert (folder / "1" / "engine" / "__init__.py").is_file()
    for config in ("config.pbtxt", "configs/python.pbtxt"):
        assert read_config(folder / config).backend == "python"
