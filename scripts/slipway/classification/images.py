"""Load photographs of many file formats, and preprocess them as for ImageNet.

The preprocessing is torchvision's ImageClassification preset, written with Pillow and NumPy alone, so that a client
needs no PyTorch.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.classification.sample_depth import is_deep, require_full_range, scaled_to_8_bits
from slipway.core.errors import SlipwayError

# The element types of inputs: normalised float32, or uint8 pixels that the model normalises itself.
INPUT_DTYPES = ("float32", "uint8")
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of a photograph: resize the short side, crop the centre, scale to 0..1, normalise.

    `resize` and `crop` are in pixels. `mean` and `std` are for channels R, G, B of values from 0 to 1.
    """

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    @classmethod
    def of(cls, settings: dict) -> "Preprocessing":
        """Return the preprocessing from `settings`, a dict with the keys of `preprocess` in config.yaml."""
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
        }
        return cls(**known)

    def __call__(self, image: Image.Image, dtype: str = "float32") -> np.ndarray:
        """Return an RGB image as input (3, crop, crop): normalised float32, or uint8 pixels if `dtype` is uint8."""
        return self.pixels(image) if dtype == "uint8" else self.normalised(self.pixels(image))

    def normalised(self, pixels: np.ndarray) -> np.ndarray:
        """Return uint8 pixels (..., 3, crop, crop) as normalised float32."""
        mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (self.mean, self.std))
        return (pixels.astype(np.float32) / 255.0 - mean) / std

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Return an RGB image resized and cropped, as uint8 (0..255) of shape (3, crop, crop)."""
        size = tuple(self.resize * side // min(image.size) for side in image.size)
        image = image.resize(size, _FILTERS[self.interpolation])
        left, top = (round((side - self.crop) / 2.0) for side in image.size)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))


def sample_photograph() -> Path:
    """Return the path of the default sample photograph, which Matplotlib installs: Grace Hopper, "military uniform"."""
    from matplotlib.cbook import get_sample_data

    return Path(get_sample_data("grace_hopper.jpg", asfileobj=False))


def load_image(path: str | Path) -> Image.Image:
    """Return the still image at `path`, upright and as 8-bit RGB. Raise SlipwayError if this is impossible.

    EXIF orientation is applied. CMYK, Lab and grey are converted. Samples of more than 8 bits are scaled to 8 bits by
    the range that the file states. Transparent parts become white. Colour profiles are ignored, as in the training of
    networks. A file is refused if it is missing, empty, truncated, not an image, animated, of several pages,
    implausibly large, or without a stated range.
    """
    path = Path(path)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise SlipwayError(f"image {path} {problem}; correct the path")
    if path.stat().st_size == 0:
        raise SlipwayError(f"image {path} is empty (0 bytes); copy it again")
    try:
        with Image.open(path) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # phones store a depth map or preview as a second frame
                several = f"has {frames} pages" if image.format == "TIFF" else f"is animated ({frames} frames)"
                raise SlipwayError(f"image {path} {several}; give a still image")
            rawmodes = str(image.tile)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            if is_deep(image):
                return scaled_to_8_bits(image, path).convert("RGB")
            colours = _as_rgb(image)
            require_full_range(image, colours, rawmodes, path)
            return colours
    except UnidentifiedImageError:
        raise SlipwayError(f"{path} is not an image that Pillow can read; give a JPEG or PNG file") from None
    except Image.DecompressionBombError as error:
        raise SlipwayError(f"image {path} is implausibly large ({error}); scale it down first") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, struct.error) as error:
        raise SlipwayError(f"image {path} is truncated or damaged ({error}); copy it again") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")
