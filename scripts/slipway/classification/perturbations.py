"""Make several test images from one photograph. Their differences reveal errors of an engine."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from slipway.classification.images import Preprocessing

# Relative side length of two corner crops, and relative brightness of the darker and the brighter image.
PART, DARKER, BRIGHTER = 0.8, 0.6, 1.3


def variations(image: Image.Image) -> list[Image.Image]:
    """Return 8 variations of an RGB photograph, always the same ones.

    Mirrored, upper left part, lower right part, darker, brighter, without colour, out of focus (at a quarter of its
    size), and with rotated colours (green, blue, red).
    """
    width, height = image.size
    right, low = round(width * PART), round(height * PART)
    small = image.resize((max(1, width // 4), max(1, height // 4)), Image.Resampling.BILINEAR)
    red, green, blue = image.split()
    return [
        ImageOps.mirror(image),
        image.crop((0, 0, right, low)),
        image.crop((width - right, height - low, width, height)),
        ImageEnhance.Brightness(image).enhance(DARKER),
        ImageEnhance.Brightness(image).enhance(BRIGHTER),
        ImageOps.grayscale(image).convert("RGB"),
        small.resize(image.size, Image.Resampling.BILINEAR),
        Image.merge("RGB", (green, blue, red)),
    ]


def varied_batch(image: Image.Image, preprocess: Preprocessing, input_dtype: str) -> np.ndarray:
    """Return the variations of a photograph as one batch (8, 3, crop, crop): normalised float32, or uint8 pixels."""
    prepare = preprocess.pixels if input_dtype == "uint8" else preprocess
    return np.stack([prepare(variation) for variation in variations(image)])
