import argparse
import pickle

import pytest
import torch
from safetensors.torch import save_file

from slipway.errors import SlipwayError
from slipway.models import build, load_model, load_strictly, read_checkpoint

ARCHITECTURE, ARGUMENTS = "squeezenet1_1", {"num_classes": 3}


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(1)
    return build(ARCHITECTURE, ARGUMENTS).state_dict()


def assert_same(found: dict, expected: dict) -> None:
    assert list(found) == list(expected)
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


# Building


@pytest.mark.parametrize("architecture", ["squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_torchvisions_classifiers_are_built_by_name(architecture):
    model = build(architecture, {"num_classes": 4})
    assert not model.training
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 4)


def test_a_factory_is_called_with_its_arguments():
    model = build("torch.nn:Linear", {"in_features": 2, "out_features": 5})
    assert model.weight.shape == (5, 2)
    assert not model.training


def test_a_factory_may_be_an_attribute_of_a_class():
    model = build("torchvision.models.squeezenet:squeezenet1_1", {"num_classes": 2})
    assert model.classifier[1].out_channels == 2


@pytest.mark.parametrize("architecture", ["no_such_package.models:make", "torch.nn:Linearr", "torch.nn:Linear.nothing"])
def test_what_cannot_be_imported_is_named(architecture):
    with pytest.raises(SlipwayError, match="install its package") as caught:
        build(architecture)
    assert architecture in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "arguments", "phrase"),
    [
        (ARCHITECTURE, {"num_clases": 3}, "num_clases"),
        (ARCHITECTURE, {"num_classes": "3"}, "'num_classes': '3'"),
        (ARCHITECTURE, {"num_classes": -3}, "-3"),
        ("torch.nn:Linear", {}, "in_features"),
        ("torch.nn:functional", {}, "not callable"),
    ],
)
def test_arguments_that_it_does_not_take_are_named(architecture, arguments, phrase):
    with pytest.raises(SlipwayError, match="correct `arguments`") as caught:
        build(architecture, arguments)
    assert architecture in str(caught.value)
    assert phrase in str(caught.value)


def test_a_module_that_does_not_even_load_is_named_with_what_it_raised(tmp_path, monkeypatch):
    (tmp_path / "unfinished_module.py").write_text("def make(:\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SlipwayError, match=r"cannot be imported \(.*unfinished_module\.py, line 1"):
        build("unfinished_module:make")


# Reading


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pytorch_file_reads_back(tmp_path, state, suffix, zipped):
    path = tmp_path / f"weights{suffix}"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert_same(read_checkpoint(path), state)


def test_a_safetensors_file_reads_back(tmp_path, state):
    path = tmp_path / "weights.safetensors"
    save_file(dict(state), path)
    found = read_checkpoint(path)
    assert_same({name: found[name] for name in state}, state)
    assert len(found) == len(state)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_a_wrapped_state_dict_is_unwrapped(tmp_path, state, wrapper):
    path = tmp_path / "training.pth"
    torch.save({wrapper: dict(state), "epoch": 90, "optimizer": {"lr": 0.1}}, path)
    assert_same(read_checkpoint(path), state)


def test_the_options_of_a_training_may_lie_beside_the_weights(tmp_path, state):
    path = tmp_path / "training.pth"
    torch.save({"model": dict(state), "args": argparse.Namespace(lr=0.1, milestones=[30, 60])}, path)
    assert_same(read_checkpoint(path), state)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_the_prefixes_of_wrapped_modules_are_removed(tmp_path, state, prefix):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {prefix + name: tensor for name, tensor in state.items()}}, path)
    assert_same(read_checkpoint(path), state)


def test_a_prefix_that_only_some_names_have_stays(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"module.weight": torch.zeros(1), "bias": torch.zeros(1)}, path)
    assert list(read_checkpoint(path)) == ["module.weight", "bias"]


def test_load_model_gives_the_model_back(tmp_path, state):
    path = tmp_path / "weights.safetensors"
    save_file(dict(state), path)
    model = load_model(path, {"architecture": ARCHITECTURE, "arguments": ARGUMENTS})
    assert not model.training
    assert_same(model.state_dict(), state)


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


def test_a_whole_module_is_refused(tmp_path):
    path = tmp_path / "module.pth"
    torch.save(torch.nn.Linear(2, 2), path)
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


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {}}, 7])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "something.pth"
    torch.save(content, path)
    assert "no state dict" in refusal(path)


def test_what_a_file_holds_instead_of_a_state_dict_is_named(tmp_path, state):
    path = tmp_path / "training.pth"
    torch.save({"net": dict(state), "epoch": 3}, path)
    assert "but 2 (epoch, net)" in refusal(path)


# Loading


def test_another_architecture_is_told_with_what_differs(state):
    other = build("shufflenet_v2_x0_5", {"num_classes": 3})
    with pytest.raises(SlipwayError, match="another architecture") as caught:
        load_strictly(other, state, "weights.pth")
    message = str(caught.value)
    assert "weights.pth" in message
    assert "conv1.0.weight" in message
    assert "classifier.1.bias" in message


def test_another_number_of_classes_is_told_with_both_shapes(state):
    other = build(ARCHITECTURE, {"num_classes": 4})
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(SlipwayError, match=r"classifier.1.bias is \(3,\), not \(4,\)"):
        load_strictly(other, state, "weights.pth")
    assert_same(other.state_dict(), before)


def test_a_missing_name_is_told(state):
    short = {name: tensor for name, tensor in state.items() if name != "classifier.1.bias"}
    with pytest.raises(SlipwayError, match=r"1 \(classifier.1.bias\) missing, none unknown, none of another shape"):
        load_strictly(build(ARCHITECTURE, ARGUMENTS), short, "weights.pth")
