"""Pairs of pictures: two views of each of 48 places in a photograph, slightly shifted and of different brightness."""

from collections.abc import Iterator

import numpy as np
from matplotlib import cbook
from PIL import Image

PLACES, SIDE, SHIFT = 48, 64, 4


def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield two views (3, SIDE, SIDE) of uint8 of each place."""
    random = np.random.default_rng(0)
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photograph = np.asarray(Image.open(file).convert("RGB"), np.float32).transpose(2, 0, 1)
    highest = np.array(photograph.shape[1:]) - SIDE - SHIFT
    for _ in range(PLACES):
        place = random.integers(0, highest)
        yield _view(photograph, place, random), _view(photograph, place, random)


def _view(photograph: np.ndarray, place: np.ndarray, random: np.random.Generator) -> np.ndarray:
    top, left = place + random.integers(0, SHIFT + 1, 2)
    view = photograph[:, top : top + SIDE, left : left + SIDE] * random.uniform(0.8, 1.2)
    return view.clip(0, 255).astype(np.uint8)


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield both views of a place, then those of the next one."""
    for pair in pairs():
        for view in pair:
            yield {"picture": view[None]}
