import pytest
from helpers.models.classifier_contract import classifier

from slipway.core.artifacts import sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.engines.engine_artifact import BuiltEngine
from slipway.triton.repository.model_config import read_config
from slipway.triton.repository.model_folder import served_model, write_model

NAMES = {"inputs": "input", "outputs": "logits"}


@pytest.fixture
def record(tmp_path):
    """Return the build record of an engine of two files; what is in them does not matter here."""
    files = {"m.fp32.openvino.xml": "graph", "m.fp32.openvino.bin": "weights"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path / "m.fp32.engine.json"
    key = {"runtime": "openvino", "precision": "fp32"}
    tensors = {side: [{"name": name, "dtype": "float32"}] for side, name in NAMES.items()}
    write_json(path, {"files": {name: sha256(tmp_path / name) for name in files}, "key": key, "tensors": tensors})
    return path


def test_an_engine_of_its_record(record):
    engine = BuiltEngine.of_record(record)
    assert engine.path == record.with_name("m.fp32.openvino.xml")
    assert engine.files == [engine.path, engine.path.with_suffix(".bin")]


@pytest.mark.parametrize("damage", ["edited", "truncated", "missing"])
def test_an_engine_that_is_not_the_one_that_was_built_is_named(record, damage):
    file = record.with_name("m.fp32.openvino.bin")
    if damage == "missing":
        file.unlink()
    else:
        file.write_text("weighty" if damage == "edited" else "", encoding="utf-8")
    with pytest.raises(SlipwayError, match="remove it and run snakemake") as caught:
        BuiltEngine.of_record(record)
    assert str(file) in str(caught.value)


def test_the_model_folder_of_an_engine(tmp_path, record):
    engine = BuiltEngine.of_record(record)
    labels = tmp_path / "names.txt"
    labels.write_text("cat\ndog\n", encoding="utf-8")
    served = served_model("m_trt", engine, classifier("float32", 64, 2), max_batch=4, instances=2)
    folder = tmp_path / "repository" / "m_trt"
    write_model(folder, served, engine, labels)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "1/engine/__init__.py",
        "1/model.bin",
        "1/model.py",
        "1/model.xml",
        "config.pbtxt",
        "configs/python.pbtxt",
        "labels.txt",
    ]
    assert (folder / "1" / "model.xml").read_text(encoding="utf-8") == "graph"
    assert (folder / "1" / "model.bin").read_text(encoding="utf-8") == "weights"
    assert (folder / "labels.txt").read_text(encoding="utf-8") == "cat\ndog\n"
    native, python = read_config(folder / "config.pbtxt"), read_config(folder / "configs" / "python.pbtxt")
    assert (native.backend, python.backend) == ("openvino", "python")
    assert native.name == python.name == folder.name
