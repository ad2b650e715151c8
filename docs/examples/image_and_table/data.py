"""Houses: a part of a photograph in place of the house's own, a row of a table, a price and a condition."""

from collections.abc import Iterator

import numpy as np
from matplotlib import cbook
from PIL import Image

HOUSES, SIDE = 64, 96


def houses() -> Iterator[tuple[np.ndarray, np.ndarray, float, int]]:
    """Yield pixels (3, SIDE, SIDE), a row (area / 100 m2, rooms / 10, age / 100 years, garden), price, condition."""
    random = np.random.default_rng(0)
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
    for _ in range(HOUSES):
        top, left = random.integers(0, np.array(photograph.shape[1:]) - SIDE)
        pixels = photograph[:, top : top + SIDE, left : left + SIDE]
        area, age, garden = random.uniform(0.4, 3), random.uniform(0, 1.2), random.integers(0, 2)
        row = np.array([area, np.ceil(3 * area) / 10, age, garden], np.float32)
        brightness = pixels.mean() / 255
        yield pixels, row, 100 * (area + garden - age / 2 + brightness), int(3 * max(0.0, 0.999 - age / 1.2))


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of one house each."""
    for pixels, row, _, _ in houses():
        yield {"photo": pixels[None], "table": row[None]}
