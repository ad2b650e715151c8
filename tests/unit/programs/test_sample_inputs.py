import numpy as np
import pytest
from helpers.models.tiny_network import PREPROCESS
from PIL import Image

from slipway.classification.images import load_image, sample_photograph
from slipway.classification.perturbations import variations, varied_batch


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
