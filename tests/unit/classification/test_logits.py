import numpy as np
import pytest
import torch
from helpers.models.random_images import photograph_batch, random_batch
from helpers.models.served_pictures import contract_of

from slipway.classification.images import Preprocessing, load_image, sample_photograph
from slipway.classification.logits import logits_of
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError

PREPROCESS = Preprocessing(72, 64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_pixels_are_the_photograph_before_it_is_normalised():
    image = load_image(sample_photograph())
    pixels = PREPROCESS.pixels(image)
    assert (pixels.shape, pixels.dtype) == ((3, 64, 64), np.uint8)
    assert pixels.flags.c_contiguous
    mean, std = np.reshape(PREPROCESS.mean, (3, 1, 1)), np.reshape(PREPROCESS.std, (3, 1, 1))
    np.testing.assert_allclose(PREPROCESS(image), (pixels / 255 - mean) / std, atol=1e-6)


def test_a_batch_keeps_the_order_of_its_photographs(tmp_path):
    other = tmp_path / "grey.png"
    load_image(sample_photograph()).convert("L").save(other)
    batch = photograph_batch([sample_photograph(), other], PREPROCESS, "uint8")
    assert (batch.shape, batch.dtype) == ((2, 3, 64, 64), np.uint8)
    assert np.array_equal(batch[0], PREPROCESS.pixels(load_image(sample_photograph())))
    assert np.array_equal(batch[1][0], batch[1][1])
    assert not np.array_equal(batch[0][0], batch[0][1])


def test_a_model_of_pixels_answers_as_the_model_of_normalised_values():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5), torch.nn.Flatten(), torch.nn.Linear(8 * 60 * 60, 4)).eval()
    normalised, pixels = (photograph_batch([sample_photograph()], PREPROCESS, name) for name in ("float32", "uint8"))
    np.testing.assert_allclose(PREPROCESS.normalised(pixels), normalised, atol=1e-6)
    wanted = logits_of(model, normalised)
    with torch.inference_mode():
        found, *_ = ServedNetwork(model, contract_of(64, 4, "uint8", PREPROCESS))(torch.from_numpy(pixels))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_broken_photograph_of_a_batch_is_named(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(sample_photograph().read_bytes()[:2000])
    with pytest.raises(SlipwayError, match=r"broken\.jpg is truncated"):
        photograph_batch([sample_photograph(), broken], PREPROCESS, "float32")


def test_a_model_that_does_not_take_the_pictures_is_told():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    told = r"fails on an input of shape \(1, 3, 4, 4\) .*it takes inputs of 2 x 2; correct the samples"
    with pytest.raises(SlipwayError, match=told):
        logits_of(model, np.zeros((1, 3, 4, 4), np.float32))


class Answering(torch.nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, pictures):
        return self.answer(pictures)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda x: (x, x), r"a tensor of shape \(2, 3, 8, 8\) and a tensor of shape \(2, 3, 8, 8\)"),
        (lambda x: x, r"a tensor of shape \(2, 3, 8, 8\)"),
    ],
)
def test_what_is_no_logits_is_told(answer, found):
    with pytest.raises(SlipwayError, match=f"answers with {found}, not with one tensor of logits"):
        logits_of(Answering(answer), random_batch("float32", 2, 8))
