"""Alternative preprocessings that a network may have been trained with, instead of the configured one."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
from PIL import Image

from slipway.classification.images import Preprocessing
from slipway.classification.published import as_written, published

_USUAL = {
    "ImageNet's mean and std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mean and std 0.5": ((0.5,) * 3, (0.5,) * 3),
    "pixels from 0 to 1": ((0.0,) * 3, (1.0,) * 3),
    "pixels from 0 to 255": ((0.0,) * 3, (round(1 / 255, 8),) * 3),
}
# Smaller differences of means (0..1) and deviations (relative) count as none, such as 0.498 and 0.5.
_NEAR_MEAN, _NEAR_STD = 0.02, 0.1


@dataclass(frozen=True)
class Alternative:
    """Another preprocessing: name, function that makes the input (3, crop, crop), side length, advice to set it."""

    name: str
    prepare: Callable[[Image.Image], np.ndarray]
    crop: int
    advice: str


def alternatives(configured: Preprocessing, architecture: str) -> list[Alternative]:
    """Return the obvious alternatives: the ones of torchvision's weights for the architecture, usual ones, and BGR."""
    names: dict[Preprocessing, str] = {}
    for weights in published(architecture):
        names.setdefault(Preprocessing.of(weights.preprocess), f"as published for {weights}")
    for name, (mean, std) in _USUAL.items():
        names.setdefault(replace(configured, mean=mean, std=std), name)
    others = [
        Alternative(name, preprocess, preprocess.crop, f"`preprocess: {as_written(_changes(configured, preprocess))}`")
        for preprocess, name in names.items()
        if _changes(configured, preprocess)
    ]
    swapped = Alternative(
        "channels in the order BGR",
        lambda image: configured(Image.merge("RGB", image.split()[::-1])),
        configured.crop,
        "a factory as `architecture` whose module swaps the channels before the network",
    )
    return [*others, swapped]


def _changes(configured: Preprocessing, other: Preprocessing) -> dict:
    changes = {name: value for name, value in asdict(other).items() if value != getattr(configured, name)}
    if np.allclose(other.mean, configured.mean, rtol=0, atol=_NEAR_MEAN):
        changes.pop("mean", None)
    if np.allclose(other.std, configured.std, rtol=_NEAR_STD, atol=0):
        changes.pop("std", None)
    return changes
