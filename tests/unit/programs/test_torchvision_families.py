"""Every family of torchvision's classifiers goes through weights, reference outputs and export.

The small ones always; all of them where SLIPWAY_ALL_FAMILIES is set, as `make families` does.
"""

import json
import os

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision
from helpers.models.published_files import as_published, seeded_network
from helpers.models.reference_outputs import make_reference
from helpers.models.served_pictures import random_pictures

import export_onnx
import fetch_weights
from slipway.contract.archives import write_samples

# By architecture: its arguments, and the pixels of its input. Those that take any size get a small one.
QUICK = {"init_weights": False}
SMALL = {
    "squeezenet1_1": ({"num_classes": 10}, 64),
    "mnasnet0_5": ({"num_classes": 10}, 64),
    "resnet18": ({"num_classes": 10}, 64),
    "googlenet": ({"num_classes": 10, **QUICK}, 64),
    "torchvision.models:DenseNet": (
        {"growth_rate": 8, "block_config": [2, 2], "num_init_features": 16, "num_classes": 10},
        64,
    ),
    "torchvision.models:VisionTransformer": (
        {
            **{"image_size": 32, "patch_size": 16, "num_layers": 2, "num_heads": 2},
            **{"hidden_dim": 16, "mlp_dim": 32, "num_classes": 10},
        },
        32,
    ),
    "torchvision.models:SwinTransformer": (
        {
            **{"patch_size": [4, 4], "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4]},
            **{"window_size": [4, 4], "num_classes": 10},
        },
        64,
    ),
}
CLASSIFIERS = torchvision.models.list_models(module=torchvision.models)
# Those that are slow to initialise, unless they are told not to; Inception v3 was trained with larger pictures.
ALL = {name: (QUICK if name in ("googlenet", "inception_v3") else {}, 224) for name in CLASSIFIERS}
ALL["inception_v3"] = (QUICK, 299)
# Those of more than 2 GB get small pictures, which cost a fiftieth of the time: it is their weights that matter.
ALL |= {"vit_h_14": ({"image_size": 28}, 28), "regnet_y_128gf": ({}, 32)}
# With the statistics of some pictures these deep networks, untrained, make a rounding error a hundredth of the answer.
WITHOUT_STATISTICS = tuple(name for name in CLASSIFIERS if name.startswith(("efficientnet", "regnet_y")))
CHOSEN = SMALL | (ALL if os.environ.get("SLIPWAY_ALL_FAMILIES") else {})
OPSET = "20"


@pytest.mark.parametrize(
    "architecture", [pytest.param(each, marks=[pytest.mark.long] * (each == "googlenet")) for each in CHOSEN]
)
def test_a_classifier_goes_from_its_published_file_to_onnx(tmp_path, architecture):
    arguments, pixels = CHOSEN[architecture]
    statistics = None if architecture in WITHOUT_STATISTICS else pixels
    network = seeded_network(architecture, arguments, pixels=statistics)
    torch.save(as_published(network), tmp_path / "published.pth")

    weights = {name: str(tmp_path / name) for name in ("weights.safetensors", "weights.json")}
    fetched = ["--output", weights["weights.safetensors"], "--record", weights["weights.json"]]
    made = ["--architecture", architecture, "--arguments", json.dumps(arguments)]
    write_samples(tmp_path / "random.npz", random_pictures(pixels))
    made += ["--samples", str(tmp_path / "random.npz")]
    checkpoint = ["--checkpoint", str(tmp_path / "published.pth")]
    fetch_weights.main(fetch_weights.parse_arguments([*made, *checkpoint, *fetched]))

    read = ["--weights", weights["weights.safetensors"], "--weights-record", weights["weights.json"]]
    preprocess = ["--resize", str(pixels), "--crop", str(pixels)]
    normalise = ["--mean", "0.485", "0.456", "0.406", "--std", "0.229", "0.224", "0.225", "--interpolation", "bilinear"]
    reference = make_reference(tmp_path, *weights.values(), preprocessing=[*preprocess, *normalise])
    interface = ["--interface", str(tmp_path / "interface.json"), "--samples", str(tmp_path / "samples.npz")]
    exported = ["--opset", OPSET, "--output", str(tmp_path / "net.onnx"), "--record", str(tmp_path / "net.onnx.json")]
    export_onnx.main(export_onnx.parse_arguments([*read, *exported, *interface]))

    pictures, logits = reference.request.inputs["input"], reference.request.outputs["logits"]
    with torch.inference_mode():
        expected = network(torch.from_numpy(pictures)).numpy()
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    answer = session.run(None, {session.get_inputs()[0].name: pictures})[0]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert np.linalg.norm(answer - expected) <= 1e-4 * np.linalg.norm(expected)
