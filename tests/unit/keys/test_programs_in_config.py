"""What config.yaml says of a program: a file with its network inside needs no architecture, and takes no settings."""

import zipfile
from pathlib import Path

import pytest
from helpers.artifacts.configured import job_keys, resolved

from slipway.core.errors import SlipwayError

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


@pytest.fixture(autouse=True)
def files(in_an_empty_folder):
    for name, entries in ENTRIES.items():
        with zipfile.ZipFile(name, "w") as archive:
            for entry in entries:
                archive.writestr(f"{Path(name).stem}/{entry}", b"")
    for name in ("model.onnx", "empty.pt2", "empty.pt"):
        Path(name).touch()
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
    assert f"scripts/slipway/models/sources/{kind}.py" in found.export_onnx("m")["code"]


def test_without_an_architecture_and_a_file_the_network_is_resnet50():
    found = resolved(models={"m": {}, "n": {"weights": "IMAGENET1K_V1"}})
    assert [found.config["models"][model]["architecture"] for model in "mn"] == ["resnet50"] * 2
    assert not found.is_program("m")


REFUSED = {
    "a state dict alone": (
        {"weights": "state_dict.pth"},
        ["has no `architecture`", "is no program", "add the network", "`architecture: your.package:factory`"],
    ),
    "an empty file": ({"weights": "empty.pt"}, ["has no `architecture`", "or damaged"]),
    "an empty program": ({"weights": "empty.pt2"}, ["an exported program, but the file is truncated or damaged"]),
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
