"""Read photographs for the calibration of a quantised model. A broken file is refused by name."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipway.classification.image_files import digest_of_images, find_images
from slipway.classification.images import Preprocessing
from slipway.classification.model_inputs import photograph_batch
from slipway.core.errors import SlipwayError


@dataclass(frozen=True)
class Calibration:
    """The photographs as inputs of a model (N, 3, crop, crop), and the SHA-256 of their files."""

    images: np.ndarray
    sha256: str

    def record(self, method: str) -> dict:
        """Return the facts about the calibration for a record."""
        return {"images": len(self.images), "method": method, "sha256": self.sha256}


def add_photographs(source: argparse._MutuallyExclusiveGroup) -> None:
    """Add the option for the photographs to calibrate on, which is one of several sources of samples."""
    source.add_argument("--images", type=Path, help="folder of photographs to calibrate on")


def read_calibration(
    folder: Path, max_samples: int, min_samples: int, preprocess: Preprocessing, input_dtype: str
) -> Calibration:
    """Return the photographs below `folder`, at most `max_samples`, spread evenly over the sorted files.

    Raises SlipwayError if the folder is missing, has fewer than `min_samples`, or has a broken file, which it names.
    Scales measured on other images than the user's would make a model wrong without any error.
    """
    paths = find_images(folder, max_samples)
    if len(paths) < min_samples:
        raise SlipwayError(
            f"calibration folder {folder} holds {len(paths)} image(s), and at least {min_samples} are needed to "
            "measure the ranges of activations; add photographs like those that the model will see, or lower "
            "`calibration.min_samples` in config.yaml"
        )
    return Calibration(photograph_batch(paths, preprocess, input_dtype), digest_of_images(folder, max_samples))
