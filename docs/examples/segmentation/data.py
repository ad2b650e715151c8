"""Photographs of several sizes: parts of the one that Matplotlib installs, and mirrored ones."""

from collections.abc import Iterator

import numpy as np
from matplotlib import cbook
from PIL import Image

PICTURES = 12
# Heights and widths in pixels; networks of this kind halve a picture five times.
SIZES = [(224, 320), (320, 224), (256, 256), (352, 288)]


def pictures() -> Iterator[np.ndarray]:
    """Yield pixels (3, height, width) of uint8."""
    random = np.random.default_rng(0)
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
    for number in range(PICTURES):
        height, width = SIZES[number % len(SIZES)]
        top, left = random.integers(0, np.array(photograph.shape[1:]) - (height, width))
        pixels = photograph[:, top : top + height, left : left + width]
        yield np.ascontiguousarray(pixels[:, :, ::-1] if number % 2 else pixels)


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield one picture each."""
    for pixels in pictures():
        yield {"input": pixels[None]}
