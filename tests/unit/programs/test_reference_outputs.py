import numpy as np
import onnxruntime
import pytest
import torch
from helpers.models import batch_networks
from helpers.models.canonical_weights import write_weights
from helpers.models.random_images import photograph_batch
from helpers.models.reference_outputs import make_reference
from helpers.models.tiny_network import CROP, PREPROCESS, checkpoint, exported

from slipway.classification.images import load_image, sample_photograph
from slipway.classification.sample_photographs import variations
from slipway.contract.batches import joined
from slipway.core.errors import SlipwayError


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_pytorchs_answers_for_the_photograph_and_its_variations(tmp_path, input_dtype):
    reference = make_reference(tmp_path, *checkpoint(tmp_path), input_dtype=input_dtype)
    pictures, logits = joined(reference.inputs)["input"], joined(reference.outputs)["logits"]
    np.testing.assert_array_equal(pictures[:1], photograph_batch([sample_photograph()], PREPROCESS, input_dtype))
    varied = [PREPROCESS(picture, input_dtype) for picture in variations(load_image(sample_photograph()))]
    np.testing.assert_array_equal(pictures[1:], varied)
    assert (pictures.dtype, pictures.shape) == (input_dtype, (9, 3, CROP, CROP))
    session = onnxruntime.InferenceSession(str(exported(tmp_path, input_dtype)[0]), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"input": pictures})
    assert logits.shape == answer.shape
    np.testing.assert_allclose(logits, answer, rtol=0, atol=1e-4)


def test_a_network_that_answers_by_its_neighbours_gets_no_reference_logits(tmp_path):
    torch.manual_seed(0)
    network = batch_networks.NoStatistics()
    weights, record = write_weights(tmp_path, network, f"{batch_networks.__name__}:NoStatistics")
    with pytest.raises(SlipwayError, match=r"depends on its neighbours .* beginning in `norm` \(BatchNorm2d\)"):
        make_reference(tmp_path, weights, record, input_dtype="uint8")
    assert not (tmp_path / "reference_outputs.npz").exists()
