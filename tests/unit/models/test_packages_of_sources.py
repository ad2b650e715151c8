"""Networks of timm and transformers, small ones: `make examples` installs the packages, which are not in .venv."""

import json
from argparse import Namespace

import numpy as np
import pytest
from helpers.models.source_runs import exported

import sample_inputs
from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of
from slipway.models.recognition import recognise_timm
from slipway.models.sources import source_of

random = np.random.default_rng(0)


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="`make examples` installs timm and runs this")


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="`make examples` installs transformers and runs this")


# timm


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnett18", r"has no network resnett18; .* such as timm:resnet18 or"),
        ("resnet18.a7_in1k", r"publishes no weights resnet18\.a7_in1k; .*: timm:resnet18\."),
    ],
)
def test_a_name_that_timm_does_not_have_is_told_with_the_nearest(timm, name, told):
    with pytest.raises(SlipwayError, match=told):
        build(f"timm:{name}")


def test_a_network_of_timm_that_takes_no_photographs_is_told(timm):
    with pytest.raises(SlipwayError, match=r"takes inputs of 1 x 160 x 160, but without `samples`"):
        source_of("timm:test_resnet").preprocessing("timm:test_resnet", {"in_chans": 1}, "random")


def test_timm_is_not_asked_for_weights_in_arguments(timm, tmp_path):
    with pytest.raises(SlipwayError, match="the weights come from `weights`"):
        exported(tmp_path, "timm:test_resnet", {"pretrained": True}, 17)


def test_photographs_are_prepared_as_timm_does_it(timm, tmp_path, capsys):
    from timm.data import create_transform, resolve_data_config

    from slipway.classification.images import load_image, sample_photograph
    from slipway.contract.archives import read_samples

    def samples(*options):
        taken = ["--output", str(tmp_path / "s.npz"), "--record", str(tmp_path / "s.json"), *options]
        sample_inputs.main(sample_inputs.parse_arguments([*taken, "--architecture", "timm:test_vit"]))
        return read_samples(tmp_path / "s.npz")[0]["input"][0], capsys.readouterr().err

    made, told = samples()
    transform = create_transform(**resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("test_vit").to_dict()))
    np.testing.assert_allclose(made, transform(load_image(sample_photograph())).numpy(), atol=1e-6)
    assert "{resize: 168, crop: 160," in told
    assert "WARNING" not in told
    made, told = samples("--crop", "128", "--mean", "0.5", "0.5", "0.5")
    assert made.shape == (3, 128, 128)
    assert "differs from it, which may cost accuracy; published is preprocess: {crop: 160}" in told


def test_the_moving_average_of_timms_training_is_served(timm, tmp_path):
    import torch
    from safetensors.torch import load_file

    states = [timm.create_model("test_resnet", num_classes=4).state_dict() for _ in range(2)]
    torch.save({"arch": "test_resnet", "state_dict": states[0], "state_dict_ema": states[1]}, tmp_path / "last.pth.tar")
    weights, contract = exported(
        tmp_path, "timm:test_resnet", {"num_classes": 4}, 17, weights=tmp_path / "last.pth.tar"
    )
    assert weights["choice"]["weights_key"] == "state_dict_ema"
    served = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(served[name], values) for name, values in states[1].items())
    assert [output["meaning"]["kind"] for output in contract["outputs"]] == ["logits"]


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_networks_of_timm_are_exported(timm, tmp_path, name, opset):
    exported(tmp_path, f"timm:{name}", {"num_classes": 7}, opset)


# transformers

BERT = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "num_labels": 3,
    "pad_token_id": 0,
}
GPT2 = {"vocab_size": 200, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
TEXTS = {
    "BertForSequenceClassification": (BERT, ["input_ids", "attention_mask", "token_type_ids"], {"logits": "logits"}),
    "BertModel": (BERT, ["input_ids", "attention_mask"], {"last_hidden_state": "tensor", "pooler_output": "tensor"}),
    "DistilBertForSequenceClassification": (
        {"vocab_size": 200, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "num_labels": 3},
        ["input_ids", "attention_mask"],
        {"logits": "logits"},
    ),
    "GPT2LMHeadModel": (GPT2, ["input_ids", "attention_mask"], {"logits": "tensor"}),
}
PICTURES = {
    "ViTForImageClassification": {
        "image_size": 32,
        "patch_size": 8,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "num_labels": 3,
    },
    "ConvNextForImageClassification": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_labels": 3},
    "SwinForImageClassification": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 16,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
        "num_labels": 3,
    },
}


def texts(names):
    """Yield the inputs of texts of several lengths."""
    for length in (5, 9, 17):
        tokens = {"input_ids": random.integers(1, 200, (1, length)), "attention_mask": np.ones((1, length), np.int64)}
        tokens["token_type_ids"] = np.zeros((1, length), np.int64)
        yield {name: tokens[name] for name in names}


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", TEXTS)
def test_networks_of_texts_are_exported_with_outputs_by_field(transformers, tmp_path, name, opset):
    arguments, inputs, outputs = TEXTS[name]
    shape = {"dtype": "int64", "shape": ["batch", "sequence"], "pad": 0, "normalisation": None}
    stated = {"inputs": dict.fromkeys(inputs, shape), "outputs": outputs}
    stated["axes"] = {"sequence": {"min": 2, "opt": 16, "max": 48}}
    _, contract = exported(tmp_path, f"transformers:{name}", arguments, opset, list(texts(inputs)), stated)
    assert [output["name"] for output in contract["outputs"]] == list(outputs)


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("name", PICTURES)
def test_networks_of_pictures_are_exported(transformers, tmp_path, name, opset):
    arguments = PICTURES[name]
    weights, contract = exported(tmp_path, f"transformers:{name}", arguments, opset, preprocess="--resize 32 --crop 32")
    assert (weights["origin"], weights["classes"]) == ("rehearsal", 3)
    assert [output["meaning"]["kind"] for output in contract["outputs"]] == ["logits"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "BertForSequenceClasification",
            "no class BertForSequenceClasification; .*transformers:BertForSequenceClassification or",
        ),
        ("AutoModelForSequenceClassification", "name the class itself"),
        ("BertConfig", "name the class itself"),
    ],
)
def test_a_class_that_makes_no_network_is_told(transformers, name, told):
    with pytest.raises(SlipwayError, match=told):
        build(f"transformers:{name}")


def test_a_field_that_the_configuration_does_not_have_is_told(transformers):
    notes = source_of("transformers:BertModel").notes
    (note,) = notes("transformers:BertModel", json.loads(json.dumps(BERT | {"hiden_size": 8})), None)
    assert "BertConfig has no field hiden_size, perhaps hidden_size," in note
    assert notes("transformers:BertModel", BERT, None) == []


def test_a_checkpoint_of_timms_training_names_its_network_for_a_first_entry(timm):
    state = timm.create_model("test_vit", num_classes=3).state_dict()
    average = {name: tensor + 1 for name, tensor in state.items()}
    saved = {"args": Namespace(model="test_vit"), "state_dict": state, "state_dict_ema": average}
    match = recognise_timm(content_of(saved))
    assert (match.architecture, match.arguments) == ("timm:test_vit", {"num_classes": 3})
    assert match.weights_keys == ["state_dict", "state_dict_ema"]
    assert recognise_timm(content_of({**saved, "args": Namespace(model="test_resnet")})) is None
