"""Convert pictures of more than 8 bits a sample to 8 bits, by the range that the file itself states."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from slipway.core.errors import SlipwayError

# TIFF tags.
_BITS, _PHOTOMETRIC, _FORMAT, _LOWEST, _HIGHEST = 258, 262, 339, 340, 341
_WHITE_IS_ZERO, _SIGNED = 0, 2
# The least share of its range that a picture uses. Below it, the samples have fewer bits than the file states.
_DARKEST_SHARE = 1 / 4
_ADVICE = "save it with 8 or 16 bits a sample"


def is_deep(image: Image.Image) -> bool:
    """Return whether an opened image is grey with 16-bit, 32-bit or floating-point samples."""
    return image.mode.startswith("I") or image.mode == "F"


def scaled_to_8_bits(image: Image.Image, path: Path) -> Image.Image:
    """Return a deep grey image (`is_deep`) with 8 bits a sample: 0 is black, 255 is white.

    The range of samples from black to white is the range that the file states. Raises SlipwayError unless the file
    states a range, and all samples are in this range.
    """
    samples = np.asarray(image, dtype=np.float64)
    low, high = _range(image, path)
    extent = f"image {path} has samples from {samples.min():g} to {samples.max():g}"
    slack = 0.01 * (high - low)
    if not (low - slack <= samples.min() and samples.max() <= high + slack):  # so that NaN is refused, too
        raise SlipwayError(f"{extent}, beyond the {low:g} to {high:g} that it states; {_ADVICE}")
    if low < high and samples.min() < samples.max() < low + _DARKEST_SHARE * (high - low):
        raise SlipwayError(
            f"{extent} of {low:g} to {high:g}, so it would be far too dark: they seem to have fewer bits than it "
            f"states; {_ADVICE}, or state SMaxSampleValue"
        )
    scaled = np.clip((samples - low) / (high - low), 0, 1)
    if _WHITE_IS_ZERO in _tag(image, _PHOTOMETRIC):
        scaled = 1 - scaled
    grey = Image.fromarray((255 * scaled).round().astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.paste(255, mask=Image.fromarray((samples == transparent).astype(np.uint8) * 255))
    return grey


def require_full_range(image: Image.Image, colours: Image.Image, rawmodes: str, path: Path) -> None:
    """Raise SlipwayError if Pillow's conversion of an image to 8 bits gives a wrong or far too dark picture.

    `colours` is the converted image. `rawmodes` is the text of Pillow's raw modes of the file. From 16 bits a sample
    (";16"), Pillow takes the upper 8 bits. These bits are 0 if the samples use fewer bits, so such a file is refused.
    Signed samples are refused, too.
    """
    if _SIGNED in _tag(image, _FORMAT):
        raise SlipwayError(f"image {path} has samples with a sign, and no range that is known; {_ADVICE}")
    if ";16" not in rawmodes:
        return
    highest = max(_tag(image, _HIGHEST), default=65535)
    if highest < 0.9 * 65535 or max(high for _, high in colours.getextrema()) < 256 * _DARKEST_SHARE:
        raise SlipwayError(
            f"image {path} has 16 bits a sample and uses few of them, so it would be far too dark; {_ADVICE}, from "
            "black to white"
        )


def _range(image: Image.Image, path: Path) -> tuple[float, float]:
    """Return (lowest, highest) possible value of the samples, as the file or its format states."""
    if highest := _tag(image, _HIGHEST):
        low, high = float(min(_tag(image, _LOWEST), default=0)), float(max(highest))
        if not 0 < high - low < math.inf:
            raise SlipwayError(f"image {path} states samples from {low:g} to {high:g}, which is no range; {_ADVICE}")
        return low, high
    if image.mode.startswith("I;16"):
        return 0, 2 ** max(_tag(image, _BITS), default=16) - 1
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # these formats have at most 16 bits a sample
        return 0, 65535
    kind = "floating-point numbers" if image.mode == "F" else "whole numbers of 32 bits or with a sign"
    raise SlipwayError(
        f"image {path} has {kind} as samples and does not state which are black and white (SMinSampleValue and "
        f"SMaxSampleValue); {_ADVICE}"
    )


def _tag(image: Image.Image, tag: int) -> tuple:
    """Return the values of the TIFF tag with the number `tag`; () if the file lacks the tag."""
    values = getattr(image, "tag_v2", {}).get(tag)
    return () if values is None else values if isinstance(values, tuple) else (values,)
