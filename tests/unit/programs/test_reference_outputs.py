import json

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.models import batch_networks
from helpers.models.tiny_network import CROP, OPTIONS, PREPROCESS, checkpoint, exported
from PIL import Image
from safetensors.torch import save_file

import reference_outputs
from slipway.classification.images import load_image, sample_photograph
from slipway.classification.perturbations import variations, varied_batch
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.networks.model_inputs import photograph_batch


def golden_of(folder, input_dtype, made=None):
    weights, record = made or checkpoint(folder)
    (folder / "labels.txt").write_text("\n".join(f"class {index}" for index in range(16)), encoding="utf-8")
    files = f"--weights {weights} --weights-record {record} --labels {folder}/labels.txt".split()
    written = f"--output {folder}/golden.npz --record {folder}/golden.json --input {input_dtype}".split()
    reference_outputs.main(reference_outputs.parse_arguments([*files, *written, *OPTIONS]))
    return np.load(folder / "golden.npz")


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_pytorchs_answers_for_the_photograph_and_its_variations(tmp_path, input_dtype):
    golden = golden_of(tmp_path, input_dtype)
    np.testing.assert_array_equal(golden["input"], photograph_batch([sample_photograph()], PREPROCESS, input_dtype))
    assert golden["variations"].shape == (8, 3, CROP, CROP)
    assert golden["variations"].dtype == golden["input"].dtype == input_dtype
    session = onnxruntime.InferenceSession(str(exported(tmp_path, input_dtype)[0]), providers=["CPUExecutionProvider"])
    for images, logits in (("input", "logits"), ("variations", "variation_logits")):
        (answer,) = session.run(None, {"input": golden[images]})
        assert golden[logits].shape == answer.shape
        np.testing.assert_allclose(golden[logits], answer, rtol=0, atol=1e-4)


def test_the_variations_are_always_the_same_and_no_two_alike():
    image = load_image(sample_photograph())
    first, again = (varied_batch(image, PREPROCESS, "uint8") for _ in range(2))
    np.testing.assert_array_equal(first, again)
    pixels = np.stack([PREPROCESS.pixels(image), *first]).astype(float)
    apart = [[np.abs(one - other).mean() for other in pixels] for one in pixels]
    assert np.min(np.array(apart) + 1e3 * np.eye(len(pixels))) > 0.5  # of 255


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3)])
def test_a_photograph_of_any_shape_has_variations(size):
    assert [each.mode for each in variations(Image.new("RGB", size, "teal"))] == ["RGB"] * 8


def test_a_network_that_answers_by_its_neighbours_gets_no_golden_logits(tmp_path):
    torch.manual_seed(0)
    weights, record = checkpoint(tmp_path)
    save_file(batch_networks.NoStatistics().state_dict(), weights)
    known = read_json(record) | {"architecture": f"{batch_networks.__name__}:NoStatistics"}
    record.write_text(json.dumps(known), encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"depends on its neighbours .* beginning in `model.norm` \(BatchNorm2d\)"):
        golden_of(tmp_path, "uint8", made=(weights, record))
    assert not (tmp_path / "golden.npz").exists()
