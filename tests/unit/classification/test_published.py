"""The table of what torchvision publishes says what torchvision says, and a configuration that differs is told."""

import json
import math

import pytest
import torchvision
from helpers.artifacts.configured import resolved
from torchvision.models import get_model_weights, list_models

from slipway.classification.published import _TABLE, published, published_weights
from slipway.core.errors import SlipwayError
from slipway.keys.notices import notices

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def described(weights, default):
    """Return a row of the table for one of torchvision's weights."""
    preset, top1 = weights.transforms(), weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    (resize,), (crop,) = preset.resize_size, preset.crop_size
    size = {"resize": resize, "crop": crop, "interpolation": preset.interpolation.value}
    return {
        "name": weights.name,
        "is_default": weights is default,
        "preprocess": {**size, "mean": [*preset.mean], "std": [*preset.std]},
        "top1": None if math.isnan(top1) else round(top1 / 100, 5),
    }


def test_the_table_is_torchvisions():
    table = {
        architecture: [
            described(each, get_model_weights(architecture).DEFAULT) for each in get_model_weights(architecture)
        ]
        for architecture in sorted(list_models(module=torchvision.models))
    }
    rows = [
        f" {json.dumps(name)}: [\n  " + ",\n  ".join(map(json.dumps, each)) + "\n ]" for name, each in table.items()
    ]
    assert _TABLE.read_text(encoding="utf-8") == "{\n" + ",\n".join(rows) + "\n}\n", "write this into the table"


def test_default_is_the_best_weights():
    assert published_weights("resnet50", "default").name == "IMAGENET1K_V2"
    assert published_weights("resnet50", "IMAGENET1K_V1").preprocess["resize"] == 256
    assert published_weights("resnet50", "weights.pth") is None
    assert published("my.package:factory") == []


def told(weights="default", architecture="resnet50", **preprocess):
    """Return what planning says of a model's preprocessing."""
    settings = {"architecture": architecture, "weights": weights, "preprocess": preprocess}
    return [notice for notice in notices(resolved(models={"m": settings})) if "preprocess" in notice]


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        ({}, None),
        ({"weights": "IMAGENET1K_V1"}, None),
        ({"weights": "IMAGENET1K_V1", "resize": 232}, "preprocess: {resize: 256}"),
        ({"resize": 256}, "preprocess: {resize: 232}"),
        ({"interpolation": "bicubic"}, "preprocess: {interpolation: bilinear}"),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, "{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"),
        ({"mean": [0.4850001, 0.456, 0.406]}, None),
        ({"architecture": "vit_b_16", "weights": "random", "resize": 232}, "preprocess: {resize: 256}"),
        ({"architecture": "swin_t", "interpolation": "bilinear"}, "preprocess: {interpolation: bicubic}"),
        (
            {"architecture": "efficientnet_v2_l", "crop": 224, "mean": [0.485, 0.456, 0.406]},
            "{crop: 480, mean: [0.5, 0.5, 0.5]}",
        ),
        ({"architecture": "efficientnet_b0", "resize": 256, "interpolation": "bicubic"}, None),
    ],
)
def test_weights_that_were_published_with_another_preprocessing_are_told_while_planning(settings, written):
    notices = told(**settings)
    assert len(notices) == (written is not None)
    assert all(notice.endswith(written) for notice in notices)


def test_what_is_not_stated_is_that_of_the_published_weights():
    models = {"large": {"architecture": "efficientnet_v2_l"}, "first": {"weights": "IMAGENET1K_V1", "preprocess": {}}}
    found = resolved(models={**models, "half": {"architecture": "swin_t", "preprocess": {"resize": 300}}})
    assert found.preprocess("large")["crop"] == 480
    assert found.preprocess("first")["resize"] == 256
    assert [found.preprocess("half")[name] for name in ("resize", "interpolation")] == [300, "bicubic"]


# The image processor beside the weights of a network of transformers


def of_processor(folder, monkeypatch, processor, **preprocess):
    """Return (the resolved preprocessing, what planning says of it) with an image processor beside the weights."""
    monkeypatch.setattr("slipway.keys.validation.require_installed", lambda *_: None)
    (folder / "model.safetensors").touch()
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    model = {"architecture": "transformers:ViT", "weights": str(folder / "model.safetensors"), "preprocess": preprocess}
    found = resolved(models={"m": model})
    return found.preprocess("m"), [notice for notice in notices(found) if "preprocessing" in notice]


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            {"resize": 256, "crop": 224, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3},
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3, "image_mean": [0.4] * 3},
            {"resize": 256, "crop": 224, "interpolation": "bicubic", "mean": [0.4] * 3, "std": [0.5] * 3},
        ),
        (
            # Pixels in 0..255, without a normalisation.
            {"size": 32, "do_center_crop": True, "do_rescale": False, "do_normalize": False},
            {"resize": 32, "crop": 32, "interpolation": "bilinear", "mean": [0.0] * 3, "std": [0.00392157] * 3},
        ),
        (
            # Pixels in -1..1: pixels / 127.5 - 1.
            {"size": 32, "do_center_crop": True, "rescale_factor": 1 / 127.5, "rescale_offset": True}
            | {"do_normalize": False},
            {"resize": 32, "crop": 32, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3},
        ),
    ],
    ids=["a centre crop", "a share of the side", "plain pixels", "an offset"],
)
def test_the_image_processor_beside_the_weights_gives_the_preprocessing(tmp_path, monkeypatch, processor, expected):
    found, told = of_processor(tmp_path, monkeypatch, processor)
    assert found == expected
    assert told == []


def test_an_image_processor_that_squeezes_photographs_and_a_stated_value_that_differs_are_told(tmp_path, monkeypatch):
    squeezing = {"size": {"height": 64, "width": 64}}
    found, told = of_processor(tmp_path, monkeypatch, squeezing, mean=[0.485, 0.456, 0.406])
    assert (found["resize"], found["crop"], found["mean"][0]) == (64, 64, 0.485)
    assert all(words in notice for words, notice in zip(("squeezes", "{mean: [0.5, 0.5, 0.5]}"), told, strict=True))


def test_weights_without_an_image_processor_are_told_whose_preprocessing_they_get(tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.keys.validation.require_installed", lambda *_: None)
    model = {"architecture": "transformers:ViT", "arguments": {"image_size": 64}, "weights": "random"}
    found = resolved(models={"m": model})
    assert [found.preprocess("m")[name] for name in ("resize", "crop", "mean")] == [64, 64, [0.485, 0.456, 0.406]]
    assert "ImageNet's classifiers, but no preprocessor_config.json lies beside its weights" in "".join(notices(found))


@pytest.mark.parametrize(
    ("processor", "problem"),
    [
        ({"size": "large"}, "is no configuration of an image processor"),
        ({"size": {"height": 32, "width": 64}}, "makes inputs of 3 x 32 x 64, but a photograph becomes a square"),
        ({"size": 32, "image_mean": [0.5], "image_std": [0.5]}, "makes inputs of 1 x 32 x 32, but"),
    ],
)
def test_an_image_processor_that_is_not_to_be_followed_is_told_while_planning(
    tmp_path, monkeypatch, processor, problem
):
    with pytest.raises(SlipwayError, match=rf"preprocessor_config\.json {problem}"):
        of_processor(tmp_path, monkeypatch, processor)


def test_a_checkpoint_of_ones_own_has_no_published_preprocessing(tmp_path):
    (tmp_path / "own.pth").touch()
    assert told(weights=str(tmp_path / "own.pth"), resize=300) == []
