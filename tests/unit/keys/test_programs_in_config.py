"""What config.yaml says of a program: a file with its network inside needs no architecture, and takes no settings."""

import zipfile
from pathlib import Path

import onnx.external_data_helper
import pytest
from helpers.artifacts.configured import job_keys, resolved
from helpers.onnx_graphs import classifier

from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.resolved_config import ResolvedConfig

# {file: the entries that PyTorch writes, below a folder that is named after the file}
ENTRIES = {
    "program.pt2": ["archive_format", "models/model.json", "data/weights/weight_0"],
    "scripted.pt": ["constants.pkl", "code/__torch__.py", "data.pkl"],
    "scripted.ts": ["constants.pkl", "code/__torch__.py", "data.pkl"],
    "renamed.pth": ["archive_format", "models/model.json"],
    "state_dict.pth": ["data.pkl", "data/0"],
    "state_dict.pt2": ["data.pkl", "data/0"],
    "scripted.pt2": ["constants.pkl", "code/__torch__.py"],
}


def model_with_weights_in(name):
    """Return the bytes of an ONNX file whose weights are in a file of its own."""
    made = classifier()
    for weights in made.graph.initializer:
        onnx.external_data_helper.set_external_data(weights, name)
        weights.ClearField("raw_data")
    return made.SerializeToString()


@pytest.fixture(autouse=True)
def files(in_an_empty_folder):
    for name, entries in ENTRIES.items():
        with zipfile.ZipFile(name, "w") as archive:
            for entry in entries:
                archive.writestr(f"{Path(name).stem}/{entry}", b"")
    for name in ("empty.onnx", "empty.pt2", "empty.pt"):
        Path(name).touch()
    Path("model.onnx").write_bytes(b"a graph")
    Path("apart.onnx").write_bytes(model_with_weights_in("weights.bin"))
    Path("truncated.pt2").write_bytes(Path("program.pt2").read_bytes()[:60])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("program.pt2", "exported_program"),
        ("renamed.pth", "exported_program"),
        ("scripted.pt", "torchscript"),
        ("scripted.ts", "torchscript"),
        ("model.onnx", "onnx_file"),
    ],
)
def test_without_an_architecture_the_weights_are_a_program_told_by_its_content(name, kind):
    found = job_keys(models={"m": {"weights": name}})
    assert found.take_program("m")["kind"] == found.resolved.program_kind("m") == kind
    assert f"scripts/slipway/models/programs/{kind}.py" in found.export_onnx("m")["code"]


def test_without_an_architecture_and_a_file_the_network_is_resnet50():
    found = resolved(models={"m": {}, "n": {"weights": "IMAGENET1K_V1"}})
    assert [found.config["models"][model]["architecture"] for model in "mn"] == ["resnet50"] * 2
    assert not found.is_program("m")


def test_an_onnx_file_is_keyed_with_the_weights_beside_it():
    def key():
        return job_keys(models={"m": {"weights": "apart.onnx"}}).take_program("m").get("data_digest")

    Path("weights.bin").write_bytes(b"weights")
    before = key()
    Path("weights.bin").write_bytes(b"others!")
    assert before != key()
    assert "data_digest" not in job_keys(models={"m": {"weights": "model.onnx"}}).take_program("m")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("best.pt2", "exported_program"), ("best.pt", "torchscript"), ("best.onnx", "onnx_file"), ("w.safetensors", None)],
)
def test_a_program_in_storage_is_told_by_its_name_for_planning_downloads_nothing(name, kind):
    found = ResolvedConfig(complete({"models": {"m": {"weights": f"s3://models/{name}"}}, "targets": {"cpu": {}}}))
    assert (found.is_program("m"), found.program_kind("m")) == (True, kind)


REFUSED = {
    "a state dict alone": (
        {"weights": "state_dict.pth"},
        ["has no `architecture`", "is no program", "add the network", "`architecture: your.package:factory`"],
    ),
    "an empty file": ({"weights": "empty.pt"}, ["has no `architecture`", "or damaged"]),
    "an empty program": ({"weights": "empty.pt2"}, ["an exported program, but the file is truncated or damaged"]),
    "an empty ONNX file": ({"weights": "empty.onnx"}, ["empty.onnx is empty; copy it again"]),
    "an ONNX file without its weights": ({"weights": "apart.onnx"}, ["weights in weights.bin, which is not beside it"]),
    "a truncated program": ({"weights": "truncated.pt2"}, ["is truncated or damaged; copy it again"]),
    "a state dict named as a program": (
        {"weights": "state_dict.pt2"},
        ["by its name an exported program", "holds the values of torch.save, such as a state dict"],
    ),
    "TorchScript named as a program": ({"weights": "scripted.pt2"}, ["but the file is a TorchScript archive"]),
    "a program and an architecture": (
        {"weights": "program.pt2", "architecture": "resnet18"},
        ["architecture` is 'resnet18', but program.pt2 is an exported program", "without `architecture`"],
    ),
    "TorchScript and an architecture": (
        {"weights": "scripted.pt", "architecture": "resnet18"},
        ["but scripted.pt is a TorchScript archive", "write `weights: scripted.pt` without `architecture`"],
    ),
    "a program and arguments": (
        {"weights": "scripted.pt", "arguments": {"num_classes": 3}},
        ["`models.m.arguments` is {'num_classes': 3}", "leave `arguments` out"],
    ),
    "a program and a key": ({"weights": "model.onnx", "weights_key": "ema"}, ["leave `weights_key` out"]),
    "a missing program": ({"weights": "missing.pt2"}, ["`models.m.weights` is 'missing.pt2', which does not exist"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_contradiction_is_refused_while_planning(case):
    settings, phrases = REFUSED[case]
    with pytest.raises(SlipwayError) as caught:
        resolved(models={"m": settings})
    message = str(caught.value)
    assert message.startswith("config: `models.m")
    assert all(phrase in message for phrase in phrases), message
    assert "\n" not in message


def test_another_program_is_another_key_and_a_moved_one_is_not():
    Path("moved.pt2").write_bytes(Path("program.pt2").read_bytes())
    found = job_keys(
        models={name: {"weights": f"{name}.pt2"} for name in ("program", "moved")} | {"onnx": {"weights": "model.onnx"}}
    )
    assert repr(found.take_program("program")) == repr(found.take_program("moved")) != repr(found.take_program("onnx"))
