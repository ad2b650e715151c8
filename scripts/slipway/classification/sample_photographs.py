"""The samples of a classifier of photographs: the sample photograph, and variations of it.

The differences between the variations reveal errors of an engine.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from slipway.classification.images import Preprocessing, load_image, sample_photograph
from slipway.classification.task import INPUT
from slipway.contract.contract import Tensors
from slipway.core.artifacts import sha256

# Relative side length of two corner crops, and relative brightness of the darker and the brighter image.
PART, DARKER, BRIGHTER = 0.8, 0.6, 1.3


def add_sample(source: argparse._MutuallyExclusiveGroup) -> None:
    """Add --image, the sample photograph, to the group of the sources of samples. It is the default source."""
    source.add_argument("--image", type=Path, help="photograph; default: the one that Matplotlib installs")


def photographs_of(path: Path | None, preprocess: Preprocessing, dtype: str) -> tuple[list[Tensors], dict]:
    """Return (9 samples (1, 3, crop, crop) of a photograph, {"image": its name, "image_sha256"}).

    Without `path`, Matplotlib's photograph is used. Raises SlipwayError, with the file's name, for a broken file.
    """
    path = path or sample_photograph()
    image = load_image(path)
    samples = [{INPUT: preprocess(picture, dtype)[None]} for picture in (image, *variations(image))]
    return samples, {"image": path.name, "image_sha256": sha256(path)}


def variations(image: Image.Image) -> list[Image.Image]:
    """Return 8 variations of an RGB photograph, which are the same in every run.

    The variations: mirrored, upper left part, lower right part, darker, brighter, without colour, out of focus (at a
    quarter of its size), and with rotated colours (green, blue, red).
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
