"""Photographs to calibrate a quantised model on: read whole or refused by name, and hashed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipway.core.errors import SlipwayError
from slipway.networks.model_inputs import photograph_batch
from slipway.photographs.image_files import digest_of_images, find_images
from slipway.photographs.images import Preprocessing


@dataclass(frozen=True)
class Calibration:
    """The photographs as a model's inputs, (N, 3, crop, crop), and the hash of their files."""

    images: np.ndarray
    sha256: str

    def record(self, method: str) -> dict:
        """Return what a record says of it."""
        return {"images": len(self.images), "method": method, "sha256": self.sha256}


def read_calibration(
    folder: Path, max_images: int, min_images: int, preprocess: Preprocessing, input_dtype: str
) -> Calibration:
    """Return the photographs below `folder`; of more than `max_images`, that many spread evenly over them.

    Raises SlipwayError when the folder is missing or empty, when it holds fewer than `min_images`, or when a file is
    broken, which it names: scales measured on anything but the user's images would make a model quietly wrong.
    """
    paths = find_images(folder, max_images)
    if len(paths) < min_images:
        raise SlipwayError(
            f"calibration folder {folder} holds {len(paths)} image(s), and at least {min_images} are needed to "
            "measure the ranges of activations; add photographs like those that the model will see, or lower "
            "`calibration.min_images` in config.yaml"
        )
    return Calibration(photograph_batch(paths, preprocess, input_dtype), digest_of_images(folder, max_images))
