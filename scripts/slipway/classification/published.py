"""The preprocessing and the accuracy that torchvision publishes for its weights.

The table published.json is a copy of these values, since importing torchvision takes seconds, and the Snakefile must be
parsed in less than a second. A test compares the table with torchvision.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# The preprocessing of torchvision's ImageNet classifiers, the default.
IMAGENET = {
    "resize": 232,
    "crop": 224,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "interpolation": "bilinear",
}
_TABLE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Published:
    """The published weights of a torchvision network: preprocessing, and top-1 accuracy (0..1) on ImageNet-1K.

    `preprocess` has the form of `preprocess` in config.yaml. `top1` is None if no accuracy is published.
    """

    architecture: str
    name: str
    is_default: bool
    preprocess: dict
    top1: float | None

    def __str__(self) -> str:
        return f"torchvision's {self.name} of {self.architecture}"


def published(architecture: str) -> list[Published]:
    """Return torchvision's weights for an architecture; [] for an architecture that torchvision lacks."""
    return [Published(architecture, **row) for row in _table().get(architecture, [])]


def published_weights(architecture: str, weights: str) -> Published | None:
    """Return torchvision's weights with the name `weights`, or the default weights for "default".

    Return None if torchvision has no weights of this name; `weights` may be the path of a file.
    """
    rows = (row for row in published(architecture) if weights == row.name or (weights == "default" and row.is_default))
    return next(rows, None)


def differences(published: dict, preprocess: dict) -> dict:
    """Return the published settings that a model does not use, as {key: published value}; {} if there are none.

    Both arguments have keys of `preprocess` in config.yaml. `published` are the published settings, and `preprocess`
    those of the model. A setting that `preprocess` lacks, or nearly equal numbers, are no difference.
    """
    return {name: value for name, value in published.items() if not _is_nearly(value, preprocess.get(name, value))}


def as_written(settings: dict) -> str:
    """Return settings of `preprocess` as text in the form of config.yaml, such as {resize: 232, crop: 224}."""
    words = {
        name: f"[{', '.join(f'{number:.6g}' for number in value)}]" if isinstance(value, list | tuple) else value
        for name, value in settings.items()
    }
    return f"{{{', '.join(f'{name}: {value}' for name, value in words.items())}}}"


@cache
def _table() -> dict[str, list[dict]]:
    return json.loads(_TABLE.read_text(encoding="utf-8"))


def _is_nearly(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple):
        return all(math.isclose(a, b, abs_tol=2e-3) for a, b in zip(one, other, strict=True))
    return one == other
