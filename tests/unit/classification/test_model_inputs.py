import numpy as np
import pytest
import torch

from slipway.classification.images import Preprocessing, load_image, sample_photograph
from slipway.classification.model_inputs import TRITON_TYPES, logits_of, photograph_batch, random_batch, served_model
from slipway.core.errors import SlipwayError

PREPROCESS = Preprocessing(72, 64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("input_dtype", TRITON_TYPES)
def test_random_batches_are_of_their_type_and_repeatable(input_dtype):
    batch = random_batch(input_dtype, 4, 32, seed=1)
    assert (batch.shape, str(batch.dtype)) == ((4, 3, 32, 32), input_dtype)
    assert np.array_equal(batch, random_batch(input_dtype, 4, 32, seed=1))
    assert not np.array_equal(batch, random_batch(input_dtype, 4, 32, seed=2))


def test_random_values_are_those_that_photographs_have():
    normal, pixels = random_batch("float32", 8, 64), random_batch("uint8", 8, 64)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert abs(pixels.mean() - 127.5) < 1


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
    assert served_model(model, PREPROCESS, "float32") is model
    with torch.inference_mode():
        wanted = model(torch.from_numpy(normalised))
        found = served_model(model, PREPROCESS, "uint8")(torch.from_numpy(pixels))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


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


def test_an_unknown_input_format_is_named():
    with pytest.raises(SlipwayError, match="'float16' is unknown; `input` is one of float32, uint8"):
        random_batch("float16", 1, 8)


@pytest.mark.parametrize(
    ("answer", "found"), [(lambda x: (x, x), "tuple"), (lambda x: x, r"a tensor of shape \(2, 3, 8, 8\)")]
)
def test_what_is_no_logits_is_told(answer, found):
    with pytest.raises(SlipwayError, match=f"answers with {found}, not with one tensor of logits"):
        logits_of(answer, random_batch("float32", 2, 8))
