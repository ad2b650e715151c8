"""The table of what torchvision publishes says what torchvision says, and a configuration that differs is told."""

import json
import math

import pytest
import torchvision
from helpers.artifacts.configured import resolved
from torchvision.models import get_model_weights, list_models

from slipway.classification.published import _TABLE, published, published_weights
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
        ({"weights": "IMAGENET1K_V1"}, "preprocess: {resize: 256}"),
        ({"resize": 256}, "preprocess: {resize: 232}"),
        ({"interpolation": "bicubic"}, "preprocess: {interpolation: bilinear}"),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, "{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"),
        ({"mean": [0.4850001, 0.456, 0.406]}, None),
        ({"architecture": "vit_b_16"}, "preprocess: {resize: 256}"),
        ({"architecture": "swin_t"}, "preprocess: {interpolation: bicubic}"),
        (
            {"architecture": "efficientnet_v2_l"},
            "{resize: 480, crop: 480, interpolation: bicubic, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}",
        ),
        ({"architecture": "efficientnet_b0", "resize": 256, "interpolation": "bicubic"}, None),
    ],
)
def test_weights_that_were_published_with_another_preprocessing_are_told_while_planning(settings, written):
    notices = told(**settings)
    assert len(notices) == (written is not None)
    assert all(notice.endswith(written) for notice in notices)


def test_a_checkpoint_of_ones_own_has_no_published_preprocessing(tmp_path):
    (tmp_path / "own.pth").touch()
    assert told(weights=str(tmp_path / "own.pth"), resize=300) == []
