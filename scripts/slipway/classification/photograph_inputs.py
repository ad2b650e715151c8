"""Photographs as inputs of a model, for evaluation and for calibration."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.classification.image_files import digest_of_images, find_images
from slipway.classification.images import Preprocessing, load_image
from slipway.classification.task import INPUT
from slipway.contract.contract import Contract, Tensors


def add_labelled(source: argparse._MutuallyExclusiveGroup) -> None:
    """Add --labelled, the folder of labelled photographs for evaluation, to the group of sources of samples."""
    source.add_argument("--labelled", type=Path, help="folder of photographs, labelled by folder or file name")


def add_photographs(source: argparse._MutuallyExclusiveGroup) -> None:
    """Add --images, the folder of calibration photographs, to the group of the sources of samples."""
    source.add_argument("--images", type=Path, help="folder of photographs to calibrate on")


@dataclass(frozen=True)
class PhotographInputs:
    """Photographs as samples (1, 3, crop, crop) of `dtype`. Each iteration reads the files again."""

    files: list[Path]
    preprocess: Preprocessing
    dtype: str

    @classmethod
    def of(cls, folder: Path, most: int, contract: Contract) -> "PhotographInputs":
        """Return at most `most` photographs of a folder, evenly spread. Raise SlipwayError if the folder has none.

        `contract` states their preprocessing and their dtype.
        """
        preprocess = Preprocessing.of(contract.facts["preprocess"])
        return cls(find_images(folder, most), preprocess, contract.inputs[0].dtype)

    def __iter__(self) -> Iterator[Tensors]:
        """Yield {input: array (1, 3, crop, crop)} for each photograph. Raise SlipwayError with a broken file's name."""
        return ({INPUT: self.preprocess(load_image(file), self.dtype)[None]} for file in self.files)


def read_calibration(folder: Path, most: int, preprocess: Preprocessing, dtype: str) -> tuple[list[Tensors], str]:
    """Return ([{input: array (1, 3, crop, crop)}] of at most `most` photographs, SHA-256 of their files).

    The photographs are spread evenly over the folder. Raises SlipwayError if the folder is missing or has a broken
    file. No other images are used instead: their scales would make the model's answers wrong without any error.
    """
    return list(PhotographInputs(find_images(folder, most), preprocess, dtype)), digest_of_images(folder, most)
