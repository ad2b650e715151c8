"""Check whether an accuracy on labelled photographs is plausible, or the network was trained on other inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.benchmark.significance import CHANCE, chance_of_gain
from slipway.core.errors import SlipwayError
from slipway.networks.model_inputs import logits_of
from slipway.outputs.meaning import Meaning
from slipway.photographs.alternatives import alternatives
from slipway.photographs.images import Preprocessing, load_image
from slipway.photographs.labelling import Labelling

if TYPE_CHECKING:
    import torch

BATCH = 8
# Worth a warning: such a gain of top-1 accuracy by another preprocessing, such a loss against the published accuracy.
CLEAR_GAIN, LARGE_DROP = 0.01, 0.05
# Of 20 networks without a better preprocessing, at most one is said to have one.
CHANCE_OF_ALARM = 0.05


@dataclass(frozen=True)
class Photographs:
    """Labelled photographs: their files and class indices (N,)."""

    files: list[Path]
    classes: np.ndarray

    def sample(self, count: int) -> "Photographs":
        """Return `count` of them, spread evenly over all, or all."""
        if len(self.files) <= count:
            return self
        chosen = [index * len(self.files) // count for index in range(count)]
        return Photographs([self.files[index] for index in chosen], self.classes[chosen])


@dataclass(frozen=True)
class Scorer:
    """A network in PyTorch and the meaning of its outputs."""

    model: "torch.nn.Module"
    meaning: Meaning

    def scores(self, files: list[Path], prepare: Sequence[Callable]) -> list[np.ndarray]:
        """Return the scores (N, classes) of photographs, by each of several preprocessings."""
        values: list[list[np.ndarray]] = [[] for _ in prepare]
        for start in range(0, len(files), BATCH):
            images = [load_image(file) for file in files[start : start + BATCH]]
            for each, rows in zip(prepare, values, strict=True):
                rows.append(logits_of(self.model, np.stack([each(image) for image in images])))
        return [self.meaning.scores(np.concatenate(rows)) for rows in values]

    def try_alternatives(self, photographs: Photographs, configured: Preprocessing, architecture: str) -> list[dict]:
        """Return the top-1 accuracy with each obvious alternative, beside the configured one, on the same photographs.

        `chance` is the probability of such a gain where there is none.
        """
        others = [each for each in alternatives(configured, architecture) if self._takes(each.crop)]
        scores = self.scores(photographs.files, [configured, *(each.prepare for each in others)])
        before, *after = [each.argmax(axis=1) == photographs.classes for each in scores]
        return [
            {
                "name": other.name,
                "images": len(before),
                "configured_top1": float(before.mean()),
                "top1": float(right.mean()),
                "chance": chance_of_gain(before, right),
                "advice": other.advice,
            }
            for other, right in zip(others, after, strict=True)
        ]

    def _takes(self, side: int) -> bool:
        """Say whether the network takes pictures of a size; many take only one."""
        import torch

        try:
            with torch.inference_mode():
                self.model(torch.zeros(1, 3, side, side))
        except Exception:  # a network may raise anything
            return False
        return True


def clear_gains(tried: list[dict]) -> list[str]:
    """Return in words the best alternative, if its gain is no chance, the choice among several taken into account."""
    clear = [
        each
        for each in tried
        if each["chance"] < CHANCE_OF_ALARM / len(tried) and each["top1"] - each["configured_top1"] >= CLEAR_GAIN
    ]
    if not clear:
        return []
    best = max(clear, key=lambda each: each["top1"])
    return [
        f"on {best['images']} labelled photographs PyTorch's top-1 accuracy is {best['configured_top1']:.1%} as "
        f"configured and {best['top1']:.1%} with {best['name']}, so the network seems to have been trained so: set "
        f"{best['advice']}, unless you know better"
    ]


def drop_from_published(found: dict, published: float | None, count: int) -> list[str]:
    """Return in words that an accuracy is far below the published one."""
    if published is None or found["top1_interval"][1] >= published - LARGE_DROP:
        return []
    return [
        f"PyTorch's top-1 accuracy is {found['top1']:.1%} on {count} labelled photographs, and torchvision publishes "
        f"{published:.1%} for these weights on ImageNet-1K: look at `preprocess`, at the folders' classes, and whether "
        "the photographs are like ImageNet's"
    ]


def require_reading(labelling: Labelling, answered: np.ndarray) -> None:
    """Raise SlipwayError unless the network's answers (N,) decide between two readings of the folders."""
    known = labelling.classes >= 0
    taken, other = answered == labelling.classes[known], answered == labelling.alternative[known]
    if chance_of_gain(other, taken) < CHANCE:
        return
    one, two = next(
        (one, two)
        for one, two in zip(labelling.folders, labelling.alternative_folders, strict=True)
        if one.index != two.index
    )
    raise SlipwayError(
        f"the class folders can be read in two ways: {one.folder} is class {one.index} by {one.rule} (PyTorch's top-1 "
        f"accuracy is then {taken.mean():.1%}), class {two.index} by {two.rule} ({other.mean():.1%}); torchvision's "
        "ImageFolder reads them in sorted order; set `labels` to a file with the folders' names in the order of the "
        "model's classes"
    )
