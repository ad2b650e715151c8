"""Read the preprocessing of photographs from preprocessor_config.json, a file of transformers' models."""

import json
from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.models.source_interface import PublishedPreprocessing

IMAGE_PROCESSOR = "preprocessor_config.json"
# {Pillow's number of a filter: its name in config.yaml}
_FILTERS = {2: "bilinear", 3: "bicubic"}


def read_image_processor(folder: Path) -> PublishedPreprocessing | None:
    """Return the preprocessing in a folder's preprocessor_config.json; None if the folder has no such file.

    Its image_mean and image_std are converted to those of pixels from 0 to 1, because an image processor computes
    (pixels * rescale_factor - image_mean) / image_std. Raises SlipwayError if the file cannot be read, or if it
    describes inputs that are not square or not in colour.
    """
    path = folder / IMAGE_PROCESSOR
    if not path.is_file():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        height, width, is_squashed = _size(read)
        resize = _resize(read, height)
        # Slipway's mean and std are for pixels / 255, which are from 0 to 1.
        unit = 255 * (read.get("rescale_factor", 1 / 255) if read.get("do_rescale", True) else 1)
        offset = 1.0 if read.get("rescale_offset") else 0.0
        normalises = read.get("do_normalize", True)
        mean = read.get("image_mean", [0.5] * 3) if normalises else [0.0] * 3
        std = read.get("image_std", [0.5] * 3) if normalises else [1.0] * 3
        mean = [round((value + offset) / unit, 8) for value in mean]
        std = [round(value / unit, 8) for value in std]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SlipwayError(
            f"{path} is no configuration of an image processor that can be read ({error!r}); correct it, or move it "
            "away and state `preprocess` in config.yaml"
        ) from None
    if height != width or len(mean) != 3 or len(std) != 3:
        raise SlipwayError(
            f"{path} makes inputs of {len(mean)} x {height} x {width}, but a photograph becomes a square of three "
            "channels; name the source of the model's inputs as `samples` (docs/models.md)"
        )
    filter_name = _FILTERS.get(read.get("resample", 2), "bicubic")
    settings = {"resize": resize, "crop": height, "mean": mean, "std": std, "interpolation": filter_name}
    caveat = "it squeezes photographs into a square, and here one from the centre is taken" if is_squashed else ""
    return PublishedPreprocessing(settings, f"the image processor in {path}", caveat)


def _size(read: dict) -> tuple[int, int, bool]:
    """Return (height, width, is_squashed): the inputs' size in pixels, and whether the resize changes proportions.

    `read` is the content of preprocessor_config.json.
    """
    size = read.get("size", 224)
    if read.get("do_center_crop"):
        return *_sides(read.get("crop_size", size)), isinstance(size, dict) and "height" in size
    if isinstance(size, dict) and "shortest_edge" in size:
        return *_sides(size["shortest_edge"]), "crop_pct" not in read
    return *_sides(size), True


def _sides(size: Any) -> tuple[int, int]:
    return (int(size["height"]), int(size["width"])) if isinstance(size, dict) else (int(size), int(size))


def _resize(read: dict, side: int) -> int:
    """Return the length of the short side before the crop to `side`, in pixels.

    `read` is the content of preprocessor_config.json.
    """
    size: Any = read.get("size", side)
    if read.get("do_center_crop"):
        return int(size.get("shortest_edge") or size.get("height", side) if isinstance(size, dict) else size)
    # As in ConvNeXt: if the side is below 384 pixels, photographs are scaled by crop_pct, then cropped.
    return int(side / read["crop_pct"]) if read.get("crop_pct") and side < 384 else side
