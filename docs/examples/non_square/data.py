"""Strips of an elevation model of the Jacksboro fault in Tennessee, which Matplotlib installs."""

from collections.abc import Iterator

import numpy as np
from matplotlib import cbook

STRIPS, HEIGHT, WIDTH = 64, 48, 160


def strips() -> Iterator[np.ndarray]:
    """Yield strips (HEIGHT, WIDTH) of heights in units of 100 m, relative to their mean."""
    random = np.random.default_rng(0)
    elevation = cbook.get_sample_data("jacksboro_fault_dem.npz")["elevation"] / 100
    for _ in range(STRIPS):
        top, left = random.integers(0, np.array(elevation.shape) - (HEIGHT, WIDTH))
        strip = elevation[top : top + HEIGHT, left : left + WIDTH]
        yield (strip - strip.mean()).astype(np.float32)


def slope_of(strip: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of the slope, in units of 10 m a pixel."""
    slope = 10 * np.hypot(*np.gradient(strip))
    return float(slope.mean()), float(slope.std())


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield one strip (1, 1, HEIGHT, WIDTH) each."""
    for strip in strips():
        yield {"heights": strip[None, None]}
