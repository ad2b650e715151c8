"""The samples of a classifier of photographs: the sample photograph, then its variations."""

import argparse
from pathlib import Path

from slipway.classification.images import Preprocessing, load_image, sample_photograph
from slipway.classification.model_inputs import photograph_batch
from slipway.classification.perturbations import varied_batch
from slipway.classification.tensor_names import INPUT
from slipway.contract.contract import Tensors
from slipway.core.artifacts import sha256


def add_sample(source: argparse._MutuallyExclusiveGroup) -> None:
    """Add the option for the sample photograph, which is the source of samples if no other is named."""
    source.add_argument("--image", type=Path, help="photograph; default: the one that Matplotlib installs")


def photographs_of(image: Path | None, preprocess: Preprocessing, input_dtype: str) -> tuple[list[Tensors], dict]:
    """Return 9 samples (1, 3, crop, crop) of a photograph (default: Matplotlib's), and its facts for the record.

    SlipwayError names a broken file.
    """
    image = image or sample_photograph()
    batch = photograph_batch([image], preprocess, input_dtype)
    varied = varied_batch(load_image(image), preprocess, input_dtype)
    samples = [{INPUT: batch}, *({INPUT: picture[None]} for picture in varied)]
    return samples, {"image": Path(image).name, "image_sha256": sha256(image)}
