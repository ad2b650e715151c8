"""A first entry of config.yaml, from the checkpoint alone."""

import io
import json
import uuid

import fsspec
import pytest
import torch
import yaml

from new_model import main, parse_arguments
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.models.architectures import build

SEVEN = {"num_classes": 7}


@pytest.fixture
def written(tmp_path, capfd):
    """Return a function that saves a checkpoint and returns its entry and what was said; it must pass the schema."""

    def write(saved, *options, file="best.pth", save=torch.save):
        path = tmp_path / file
        if saved is not None:
            save(saved, path)
        capfd.readouterr()
        main(parse_arguments([str(path), "--config", str(tmp_path / "config.yaml"), *map(str, options)]))
        text, said = capfd.readouterr()
        ((_, entry),) = yaml.safe_load(text)["models"].items()
        complete(yaml.safe_load(text))
        return entry, text, said

    return write


@pytest.fixture(scope="module")
def state():
    """Return the weights of a network with seven classes."""
    return build("squeezenet1_1", SEVEN).state_dict()


def another(state):
    """Return other weights of the same names and shapes."""
    return {name: tensor + 1 for name, tensor in state.items()}


def test_a_state_dict_becomes_an_entry_with_all_that_is_known(written, state):
    entry, text, said = written(state)
    assert entry["architecture"] == "squeezenet1_1"
    assert entry["arguments"] == SEVEN
    assert entry["weights"].endswith("best.pth")
    assert entry["preprocess"]["crop"] == 224
    assert "weights_key" not in entry
    assert "# labels: classes.txt" in text
    assert "found: squeezenet1_1 of torchvision" in said
    assert "not found: the preprocessing of the training" in said


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"epoch": 3, "state_dict": {f"_orig_mod.{name}": tensor for name, tensor in state.items()}},
        lambda state: {"state_dict": {f"net.{name}": tensor for name, tensor in state.items()}, "loops": {}},
    ],
    ids=["DataParallel", "compiled", "Lightning"],
)
def test_prefixes_of_training_programs_are_seen_through(written, state, wrapped):
    entry, _, _ = written(wrapped(state))
    assert (entry["architecture"], entry["arguments"]) == ("squeezenet1_1", SEVEN)
    assert "weights_key" not in entry


def test_of_several_sets_of_weights_one_is_to_be_chosen(written, state):
    entry, text, said = written({"model": state, "model_ema": another(state)})
    assert entry["weights_key"] == "model"
    assert "FILL IN: one of model, model_ema" in text
    assert "2 different sets of weights that fit: model, model_ema" in said


def test_the_same_weights_twice_need_no_choice(written, state):
    entry, _, _ = written({"model": state, "best": dict(state)})
    assert "weights_key" not in entry


def test_one_output_may_be_a_quantity_or_a_yes_or_no(written):
    entry, text, _ = written(build("squeezenet1_1", {"num_classes": 1}).state_dict())
    assert entry["arguments"] == {"num_classes": 1}
    assert "tensor for a quantity; sigmoid for a yes or no" in text


def test_another_head_on_a_known_network_is_told(written, state):
    body = {name: tensor for name, tensor in state.items() if not name.startswith("classifier")}
    entry, _, said = written(body | {"classifier.2.weight": torch.ones(7, 512), "classifier.2.bias": torch.ones(7)})
    assert entry["architecture"] == "your_package.networks:factory"
    assert "at the top of the file (.), all of torchvision's squeezenet1_1 but for its head, `classifier`" in said


def test_an_unknown_network_is_not_guessed(written):
    entry, text, said = written(torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 2)).state_dict())
    assert entry["architecture"] == "your_package.networks:factory"
    assert entry["samples"] == "your_package.data:samples"
    assert text.count("FILL IN") == 2
    assert "an architecture; the file's tensors, 4 (0.weight, 0.bias, 1.weight, ...), have 32 numbers" in said


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("blocks.0.attn.qkv.weight", "timm:NAME"),
        ("bert.encoder.layer.0.attention.self.query.weight", "transformers:CLASS"),
    ],
)
def test_a_network_of_another_package_is_named_by_its_tensors(written, name, package):
    _, _, said = written({name: torch.ones(6, 2)})
    assert f"write `architecture: {package}`" in said


def test_transformers_name_their_class_beside_the_weights(written, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertForSequenceClassification"]}))
    entry, _, _ = written({"bert.pooler.dense.weight": torch.ones(2, 2)})
    assert entry["architecture"] == "transformers:BertForSequenceClassification"
    assert entry["arguments"] == {"config": str(tmp_path / "config.json")}


class Doubling(torch.nn.Module):
    def forward(self, x):
        return x * 2


PROGRAMS = {
    "best.pt": lambda path: torch.jit.script(Doubling()).save(path),
    "best.onnx": lambda path: torch.onnx.export(Doubling(), (torch.ones(1, 2),), path, dynamo=False, input_names=["x"]),
}


@pytest.mark.parametrize("file", PROGRAMS)
def test_a_program_needs_no_architecture(written, file):
    entry, _, said = written("", file=file, save=lambda _, path: PROGRAMS[file](str(path)))
    assert "architecture" not in entry
    assert entry["samples"] == "your_package.data:samples"
    assert "which needs no `architecture`" in said
    assert file != "best.onnx" or "the input x float32 (1, 2)" in said


def test_a_path_with_umlauts_stays_readable(written, state):
    entry, text, _ = written(state, file="März übung.pth")
    assert entry["weights"].endswith("März übung.pth")
    assert text.count("März übung.pth") == 2


def test_a_name_with_a_line_end_is_refused_and_adds_no_line(written, state):
    with pytest.raises(SlipwayError, match="must hold no line end"):
        written(state, "--name", "best", file="a\nmodels: {}\n.pth")


REFUSED = {
    "an empty dictionary": ({}, "best.pth", "holds no state dict, but nothing by name"),
    "a file of text": (None, "best.pth", "is truncated or no PyTorch file"),
    "a name without suffix": ({}, "best", "has no suffix that `weights` takes"),
    "an ONNX file of text": (None, "best.onnx", "is truncated or no ONNX file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_without_weights_becomes_no_entry(written, tmp_path, case):
    saved, file, words = REFUSED[case]
    (tmp_path / file).write_text("dear diary")
    with pytest.raises(SlipwayError, match=words):
        written(saved, "--output", tmp_path / "mine.yaml", file=file)
    assert not (tmp_path / "mine.yaml").exists()


def test_a_file_that_exists_is_never_overwritten(written, tmp_path, state):
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(SlipwayError, match=r"mine\.yaml exists, and is not overwritten"):
        written(state, "--output", tmp_path / "mine.yaml")
    assert (tmp_path / "mine.yaml").read_text() == "mine"


def test_a_checkpoint_in_storage_is_fetched_and_named_by_its_address(tmp_path, monkeypatch, capfd, state):
    monkeypatch.chdir(tmp_path)
    address, content = f"memory://{uuid.uuid4().hex}/best.pth", io.BytesIO()
    torch.save(state, content)
    fsspec.filesystem("memory").pipe_file(address, content.getvalue())
    main(parse_arguments([address]))
    entry = yaml.safe_load(capfd.readouterr().out)["models"]["best"]
    assert (entry["architecture"], entry["weights"]) == ("squeezenet1_1", address)
    with pytest.raises(SlipwayError, match="holds a password"):
        main(parse_arguments(["s3://me:hunter2@bucket/best.pth"]))


def test_a_name_that_is_taken_or_that_no_model_may_have_is_refused(written, tmp_path, state):
    (tmp_path / "config.yaml").write_text("models: {best: {}}")
    with pytest.raises(SlipwayError, match="has a model best; give the new one another --name"):
        written(state)
    with pytest.raises(SlipwayError, match="but a name must be"):
        written(state, "--name", "a b")


@pytest.mark.parametrize(
    ("file", "name"),
    [("Best-Epoch=3.ckpt", "best_epoch_3"), ("model_best.pth.tar", "model_best"), ("7.pth", "model_7")],
)
def test_a_model_is_named_after_its_file(written, state, file, name):
    _, text, _ = written(state, file=file)
    assert list(yaml.safe_load(text)["models"]) == [name]
