"""Photographs of 320 x 320 pixels: parts of the one that Matplotlib installs."""

from collections.abc import Iterator

import numpy as np
from matplotlib import cbook
from PIL import Image

PICTURES, SIDE = 12, 320


def pictures() -> Iterator[np.ndarray]:
    """Yield pixels (3, SIDE, SIDE) of uint8."""
    random = np.random.default_rng(0)
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
    for _ in range(PICTURES):
        top, left = random.integers(0, np.array(photograph.shape[1:]) - SIDE)
        yield photograph[:, top : top + SIDE, left : left + SIDE]


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield one picture each."""
    for pixels in pictures():
        yield {"pictures": pixels[None]}
