"""Reading checkpoint files, of which nothing is executed."""

import argparse
import pathlib
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of, read_checkpoint


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(1)
    return build("squeezenet1_1", {"num_classes": 3}).state_dict()


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


def refusal(path) -> str:
    with pytest.raises(SlipwayError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


class RunsCode:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.ckpt", "w.pth.tar"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pytorch_file_reads_back(tmp_path, state, name, zipped):
    torch.save(state, tmp_path / name, _use_new_zipfile_serialization=zipped)
    content = read_checkpoint(tmp_path / name)
    assert_same(content.tensors, state)
    assert content.versions == state._metadata


@pytest.mark.parametrize("name", ["weights.safetensors", "renamed.bin"])
def test_a_safetensors_file_reads_back(tmp_path, state, name):
    save_file(dict(state), tmp_path / name)
    assert_same(read_checkpoint(tmp_path / name).tensors, state)


def test_tensors_are_named_by_their_path():
    one, two, three = (torch.zeros(size) for size in (1, 2, 3))
    saved = {"net": {"a.b": one}, "folds": [{"c": two}], "optimizer": {"state": {0: {"exp_avg": three}}}, "epoch": 3}
    content = content_of(saved)
    assert_same(content.tensors, {"net.a.b": one, "folds.0.c": two})
    assert content.keys == ["epoch", "folds", "net", "optimizer"]


@pytest.mark.parametrize(
    "beside",
    [
        argparse.Namespace(lr=0.1, milestones=[30, 60]),
        np.float64(71.3),
        np.int64(3),
        np.bool_(True),
        np.float32(0.5),
        np.arange(4.0),
        pathlib.PurePosixPath("/data/imagenet"),
        pathlib.Path("runs/7"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_training_programs_save_beside_the_weights_is_harmless(tmp_path, state, beside):
    torch.save({"model": state, "beside": beside, "epoch": 90}, tmp_path / "training.pth")
    assert_same(read_checkpoint(tmp_path / "training.pth").tensors, {f"model.{name}": state[name] for name in state})


def test_the_hyperparameters_of_lightning_are_harmless_where_it_is_not_installed(tmp_path, state, monkeypatch):
    kind = type("AttributeDict", (dict,), {"__module__": "lightning_fabric.utilities.data"})
    module = type(pickle)("lightning_fabric.utilities.data")
    module.AttributeDict = kind
    for name in ("lightning_fabric", "lightning_fabric.utilities", module.__name__):
        monkeypatch.setitem(__import__("sys").modules, name, module)
    torch.save({"state_dict": state, "hyper_parameters": kind(lr=0.1)}, tmp_path / "last.ckpt")
    monkeypatch.undo()
    assert len(read_checkpoint(tmp_path / "last.ckpt").tensors) == len(state)


# Refusing


def test_a_missing_file_is_named(tmp_path):
    assert "config.yaml" in refusal(tmp_path / "no.pth")


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["zipped", "legacy", "safetensors"])
def test_a_truncated_file_is_named(tmp_path, state, kind, share):
    path = tmp_path / ("cut.safetensors" if kind == "safetensors" else "cut.pth")
    if kind == "safetensors":
        save_file(dict(state), path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zipped")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    message = refusal(path)
    assert "truncated" in message
    assert "copy it again" in message


def test_a_file_in_which_a_byte_of_a_weight_changed_is_refused(tmp_path, state):
    """PyTorch itself loads it, with another weight."""
    path = tmp_path / "flipped.pth"
    torch.save(state, path)
    weight = state["classifier.1.weight"].numpy().tobytes()
    path.write_bytes(path.read_bytes().replace(weight, weight[:-1] + bytes([weight[-1] ^ 1])))
    assert not torch.equal(torch.load(path)["classifier.1.weight"], state["classifier.1.weight"])
    assert "is truncated or damaged (Bad CRC-32 for file 'flipped/data/" in refusal(path)


def test_a_file_that_was_written_without_checksums_reads_back(tmp_path, state):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_checkpoint(tmp_path / "w.pth").tensors, state)


@pytest.mark.parametrize(
    "text", ["<!DOCTYPE html><html>Not found</html>", "version https://git-lfs.github.com/spec/v1\n"]
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_text_file_is_not_said_to_run_code(tmp_path, text, suffix):
    path = tmp_path / f"page{suffix}"
    path.write_text(text, encoding="utf-8")
    message = refusal(path)
    assert "run code" not in message
    assert "copy it again" in message


@pytest.mark.parametrize("wrapped", [False, True])
def test_pickled_code_is_refused_and_not_run(tmp_path, state, wrapped):
    mark = tmp_path / "it-ran"
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": dict(state), "extra": RunsCode(mark)} if wrapped else RunsCode(mark), path)
    message = refusal(path)
    assert not mark.exists()
    assert "was not loaded" in message
    assert "model.state_dict()" in message


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "it-ran"
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(RunsCode(mark), protocol=2))
    refusal(path)
    assert not mark.exists()


def test_the_pickle_would_have_run(tmp_path):
    mark = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(RunsCode(mark))).close()
    assert mark.exists()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_whole_module_is_refused(tmp_path, wrapped):
    path = tmp_path / "module.pth"
    torch.save({"model": torch.nn.Linear(2, 2), "epoch": 3} if wrapped else torch.nn.Linear(2, 2), path)
    message = refusal(path)
    assert "(Unsupported global: GLOBAL torch.nn.modules.linear.Linear)" in message
    assert "model.state_dict()" in message
    assert "safe_globals" not in message  # which would be to trust it


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_archive_is_refused_as_what_it_is(tmp_path):
    path = tmp_path / "scripted.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    message = refusal(path)
    assert "TorchScript" in message
    assert "copy it again" not in message


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {}}, 7, torch.zeros(3)])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "something.pth"
    torch.save(content, path)
    assert "no state dict" in refusal(path)


def test_what_a_file_holds_instead_of_a_state_dict_is_named(tmp_path):
    path = tmp_path / "training.pth"
    torch.save({"net": {}, "epoch": 3}, path)
    assert "but 2 (epoch, net)" in refusal(path)
