import numpy as np
import pytest
from helpers.models.random_images import noise
from PIL import Image

from slipway.classification.images import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = Preprocessing(232, 224, MEAN, STD)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "size",
    [
        (640, 480),
        (480, 640),
        (301, 457),
        (457, 301),
        (233, 1021),
        (224, 224),
        (97, 131),
        (1, 1),
        # 232 / 50 * 100 is 463.99... in floating point, though it is 464.
        (50, 100),
        (110, 55),
        (67, 134),
    ],
)
def test_preprocessing_is_torchvisions_preset(size, interpolation):
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms._presets import ImageClassification

    preset = ImageClassification(
        crop_size=224, resize_size=232, mean=MEAN, std=STD, interpolation=InterpolationMode(interpolation)
    )
    image = noise(*size)
    found = Preprocessing(232, 224, MEAN, STD, interpolation)(image)
    assert found.shape == (3, 224, 224)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, preset(image).numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (224, 224), (129, 96), (70, 65)])
def test_other_sizes_are_torchvisions_too(resize, crop):
    from torchvision.transforms._presets import ImageClassification

    image = noise(333, 250)
    found = Preprocessing(resize, crop, MEAN, STD)(image)
    wanted = ImageClassification(crop_size=crop, resize_size=resize, mean=MEAN, std=STD)(image).numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_preprocessing_is_contiguous_for_a_runtime():
    assert IMAGENET(noise(300, 250)).flags.c_contiguous


def test_mean_and_deviation_are_of_their_own_channel():
    found = Preprocessing(8, 8, (0.0, 0.5, 1.0), (1.0, 2.0, 4.0))(Image.new("RGB", (8, 8), (255, 255, 0)))
    np.testing.assert_allclose(found[:, 0, 0], [1.0, 0.25, -0.25])
