"""Photographs in, arrays out: loading with every oddity handled or named, and ImageNet preprocessing.

The preprocessing is that of torchvision's ImageClassification preset, done with Pillow and NumPy alone so that a client
needs no PyTorch.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from slipway.errors import SlipwayError

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """How a photograph becomes a model's input: resize the short side, crop the centre, scale to [0, 1], normalise."""

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return an RGB image as normalised float32 of shape (3, crop, crop)."""
        scaled = self.pixels(image).astype(np.float32) / 255.0
        mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (self.mean, self.std))
        return (scaled - mean) / std

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Return an RGB image resized and cropped, as uint8 (0..255) of shape (3, crop, crop)."""
        size = tuple(self.resize * side // min(image.size) for side in image.size)
        image = image.resize(size, _FILTERS[self.interpolation])
        left, top = (round((side - self.crop) / 2.0) for side in image.size)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))


def sample_photograph() -> Path:
    """Return the photograph that Matplotlib installs: Grace Hopper, ImageNet class "military uniform"."""
    from matplotlib.cbook import get_sample_data

    return Path(get_sample_data("grace_hopper.jpg", asfileobj=False))


def load_image(path: str | Path) -> Image.Image:
    """Return the still image at `path`, upright and as 8-bit RGB; raise SlipwayError when that cannot be done.

    EXIF orientation is applied, CMYK and grey are converted, 16 bits are scaled to 8, transparency lies on white.
    Files that are missing, empty, truncated, not an image, animated or implausibly large are refused.
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
            if frames > 1 and image.format != "MPO":  # phones keep a depth map or preview as a second frame
                raise SlipwayError(f"image {path} is animated ({frames} frames); give a still image")
            image.load()
            return _as_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise SlipwayError(f"{path} is not an image that Pillow can read; give a JPEG or PNG file") from None
    except Image.DecompressionBombError as error:
        raise SlipwayError(f"image {path} is implausibly large ({error}); scale it down first") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, struct.error) as error:
        raise SlipwayError(f"image {path} is truncated or damaged ({error}); copy it again") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled_to_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit samples (0..65535) to 8 bits; Pillow's own conversion clips them at 255."""
    samples = np.asarray(image, dtype=np.float64)
    return Image.fromarray(np.clip(samples / 257.0, 0, 255).round().astype(np.uint8))
