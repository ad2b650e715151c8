"""A folder of photographs as inputs of a model, prepared as its contract says."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.classification.image_files import find_images
from slipway.classification.images import Preprocessing
from slipway.classification.model_inputs import photograph
from slipway.classification.tensor_names import INPUT
from slipway.contract.contract import Contract, Tensors


def add_labelled(source: argparse._MutuallyExclusiveGroup) -> None:
    """Add the option for labelled photographs as evaluation data."""
    source.add_argument("--labelled", type=Path, help="folder of photographs, labelled by folder or file name")


@dataclass(frozen=True)
class PhotographInputs:
    """Photographs as samples (1, 3, crop, crop) of a dtype. Each iteration reads the files again."""

    files: list[Path]
    preprocess: Preprocessing
    dtype: str

    @classmethod
    def of(cls, folder: Path, most: int, contract: Contract) -> "PhotographInputs":
        """Return at most `most` photographs of a folder, spread evenly over it. Raise SlipwayError if it has none."""
        return cls(find_images(folder, most), preprocessing_in(contract), contract.input(INPUT).dtype)

    def __iter__(self) -> Iterator[Tensors]:
        """Yield each photograph as a sample. SlipwayError names a broken file."""
        return ({INPUT: photograph(file, self.preprocess, self.dtype)[None]} for file in self.files)


def preprocessing_in(contract: Contract) -> Preprocessing:
    """Return the preprocessing that a contract states."""
    facts = contract.facts["preprocess"]
    return Preprocessing(**{name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()})
