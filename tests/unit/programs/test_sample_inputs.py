import numpy as np
import pytest
from helpers.models.tiny_network import PREPROCESS
from PIL import Image

from slipway.classification.images import load_image, sample_photograph
from slipway.classification.sample_photographs import photographs_of, variations
from slipway.contract.batches import joined


def test_the_variations_are_always_the_same_and_no_two_alike():
    first, again = (joined(photographs_of(None, PREPROCESS, "uint8")[0])["input"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[0], PREPROCESS.pixels(load_image(sample_photograph())))
    pixels = first.astype(float)
    assert len(pixels) == 9
    apart = [[np.abs(one - other).mean() for other in pixels] for one in pixels]
    assert np.min(np.array(apart) + 1e3 * np.eye(len(pixels))) > 0.5  # of 255


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3)])
def test_a_photograph_of_any_shape_has_variations(size):
    assert [each.mode for each in variations(Image.new("RGB", size, "teal"))] == ["RGB"] * 8
