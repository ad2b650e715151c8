"""Images without meaning."""

import numpy as np
from PIL import Image

from slipway.classification.images import load_image


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return an image of random pixels."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def random_batch(dtype, batch, side, seed=0):
    """Return random inputs (batch, 3, side, side): standard normal float32, or uint8 uniform over 0..255."""
    random, shape = np.random.default_rng(seed), (batch, 3, side, side)
    if dtype == "uint8":
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.standard_normal(shape, dtype=np.float32)


def photograph_batch(paths, preprocess, dtype):
    """Return photographs as one batch (N, 3, crop, crop)."""
    return np.stack([preprocess(load_image(path), dtype) for path in paths])
