"""Digits of 28 x 28 pixels, drawn in three fonts that Matplotlib installs, shifted and of several sizes."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

DIGITS, SIDE = 120, 28
FONTS = [Path(matplotlib.get_data_path(), "fonts/ttf", f"DejaVu{kind}.ttf") for kind in ("Sans", "Serif", "SansMono")]


def digits() -> Iterator[tuple[np.ndarray, int]]:
    """Yield the pixels (SIDE, SIDE) of uint8 of a digit, and the digit."""
    random = np.random.default_rng(0)
    for number in range(DIGITS):
        picture = Image.new("L", (SIDE, SIDE))
        font = ImageFont.truetype(str(FONTS[random.integers(len(FONTS))]), int(random.integers(16, 25)))
        place = tuple(SIDE // 2 + random.integers(-3, 4, 2))
        ImageDraw.Draw(picture).text(place, str(number % 10), fill=255, font=font, anchor="mm")
        yield np.asarray(picture), number % 10


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield one picture (1, 1, SIDE, SIDE) each."""
    for pixels, _ in digits():
        yield {"digit": pixels[None, None]}
