"""Check whether an accuracy on labelled photographs is plausible. An implausible one suggests wrong preprocessing.

Differences between accuracies count only if they are significant.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from slipway.classification.images import Preprocessing, load_image
from slipway.classification.labelling import Labelling
from slipway.classification.logits import logits_of
from slipway.classification.paired_accuracy import chance_of_gain
from slipway.classification.published import as_written, published
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.outputs.meaning import Meaning

BATCH = 8
# A warning needs this gain in top-1 accuracy by another preprocessing, or this drop below the published accuracy.
CLEAR_GAIN, LARGE_DROP = 0.01, 0.05
# At most one false warning about preprocessing in 20 correctly configured networks.
CHANCE_OF_ALARM = 0.05
# Significance level: one false alarm in 100 comparisons without a real difference.
CHANCE = 0.01
# {name: mean and std} of usual trainings.
_USUAL = {
    "ImageNet's mean and std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mean and std 0.5": ((0.5,) * 3, (0.5,) * 3),
    "pixels from 0 to 1": ((0.0,) * 3, (1.0,) * 3),
    "pixels from 0 to 255": ((0.0,) * 3, (round(1 / 255, 8),) * 3),
}
# Smaller differences of means (absolute) and of deviations (relative) are ignored, such as 0.498 against 0.5.
_NEAR_MEAN, _NEAR_STD = 0.02, 0.1


@dataclass(frozen=True)
class Alternative:
    """Another preprocessing, to try whether the network's accuracy is higher with it.

    `prepare` makes the input (3, crop, crop) from an RGB image. `advice` names the setting in config.yaml that gives
    this preprocessing.
    """

    name: str
    prepare: Callable[[Image.Image], np.ndarray]
    crop: int
    advice: str


def alternatives(configured: Preprocessing, architecture: str) -> list[Alternative]:
    """Return the preprocessings to try: torchvision's published one, usual means and deviations, and BGR channels.

    torchvision's is that of `architecture`, if torchvision has the network. Preprocessings that equal the `configured`
    one are left out.
    """
    names: dict[Preprocessing, str] = {}
    for weights in published(architecture):
        names.setdefault(Preprocessing.of(weights.preprocess), f"as published for {weights}")
    for name, (mean, std) in _USUAL.items():
        names.setdefault(replace(configured, mean=mean, std=std), name)
    others = [
        Alternative(name, preprocess, preprocess.crop, f"`preprocess: {as_written(changes)}`")
        for preprocess, name in names.items()
        if (changes := _changes(configured, preprocess))
    ]
    advice = "a factory as `architecture` whose module swaps the channels before the network"

    def swapped(image: Image.Image) -> np.ndarray:
        return configured(Image.merge("RGB", image.split()[::-1]))

    return [*others, Alternative("channels in the order BGR", swapped, configured.crop, advice)]


def _changes(configured: Preprocessing, other: Preprocessing) -> dict:
    changes = {name: value for name, value in asdict(other).items() if value != getattr(configured, name)}
    if np.allclose(other.mean, configured.mean, rtol=0, atol=_NEAR_MEAN):
        changes.pop("mean", None)
    if np.allclose(other.std, configured.std, rtol=_NEAR_STD, atol=0):
        changes.pop("std", None)
    return changes


def try_alternatives(
    model: torch.nn.Module,
    meaning: Meaning,
    photographs: Sequence[tuple[Path, int]],
    configured: Preprocessing,
    architecture: str,
) -> list[dict]:
    """Return how accurate a network is with each alternative preprocessing, and with the configured one.

    There is one dict per alternative: {"name", "images": number of photographs, "configured_top1", "top1" (both 0..1),
    "chance": the probability that the gain comes from chance alone, "advice": the setting in config.yaml}.
    `photographs` are (file, class index). `meaning` is that of the model's outputs, and `architecture` its name in
    config.yaml.
    """
    others = [other for other in alternatives(configured, architecture) if _takes(model, other.crop)]
    ways: list[Callable[[Image.Image], np.ndarray]] = [configured, *(other.prepare for other in others)]
    hits: list[list[bool]] = [[] for _ in ways]
    for start in range(0, len(photographs), BATCH):
        files, classes = zip(*photographs[start : start + BATCH], strict=True)
        images = list(map(load_image, files))
        for prepare, right in zip(ways, hits, strict=True):
            scores = meaning.scores(logits_of(model, np.stack([prepare(image) for image in images])))
            right += (scores.argmax(axis=1) == classes).tolist()
    before, *after = map(np.array, hits)
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


def _takes(model: torch.nn.Module, side: int) -> bool:
    """Return whether a network accepts pictures of `side` x `side` pixels; many networks accept only one size."""
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, side, side))
    except Exception:  # a network can raise any exception
        return False
    return True


def clear_gains(tried: list[dict]) -> list[str]:
    """Return a list with one warning if the network answers clearly better with another preprocessing; otherwise [].

    The warning names the best alternative whose gain in accuracy is significant. The significance is corrected for the
    number of alternatives. `tried` has one dict per alternative, as `try_alternatives` returns it.
    """
    return [
        f"on {best['images']} labelled photographs the model's own top-1 accuracy is {best['configured_top1']:.1%} as "
        f"configured and {best['top1']:.1%} with {best['name']}, so the network seems to have been trained so: set "
        f"{best['advice']}, unless you know better"
        for best in sorted(tried, key=lambda result: -result["top1"])
        if best["chance"] < CHANCE_OF_ALARM / len(tried) and best["top1"] - best["configured_top1"] >= CLEAR_GAIN
    ][:1]


def drop_from_published(accuracy: dict, published: float | None) -> list[str]:
    """Return a list with one warning if the accuracy is clearly below the one that torchvision publishes; otherwise [].

    Clearly: even the upper end of "top1_interval" is more than LARGE_DROP below `published`, the published top-1
    accuracy (0..1). Without a published accuracy (None), return []. `accuracy` has "top1", "top1_interval" and
    "labelled" of the checkpoint's accuracy record.
    """
    if published is None or accuracy["top1_interval"][1] >= published - LARGE_DROP:
        return []
    return [
        f"the model's own top-1 accuracy is {accuracy['top1']:.1%} on {accuracy['labelled']} labelled photographs, and "
        f"torchvision publishes {published:.1%} for these weights on ImageNet-1K: look at `preprocess`, at the "
        "folders' classes, and whether the photographs are like ImageNet's"
    ]


def require_reading(labelling: Labelling, best_classes: np.ndarray) -> None:
    """Raise SlipwayError unless the network's answers confirm the rule by which the folders' classes were read.

    The folders were read by a first rule (`labelling.classes`), but a second rule is possible
    (`labelling.alternative`). The network must be right clearly more often by the first rule. `best_classes` are the
    network's best classes for the photographs of known class.
    """
    has_class = labelling.classes >= 0
    correct = best_classes == labelling.classes[has_class]
    correct_otherwise = best_classes == labelling.alternative[has_class]
    if chance_of_gain(correct_otherwise, correct) < CHANCE:
        return
    one, two = next(
        (one, two)
        for one, two in zip(labelling.folders, labelling.alternative_folders, strict=True)
        if one.index != two.index
    )
    raise SlipwayError(
        f"the class folders can be read in two ways: {one.folder} is class {one.index} by {one.rule} (the model's "
        f"top-1 accuracy is then {correct.mean():.1%}), class {two.index} by {two.rule} "
        f"({correct_otherwise.mean():.1%}); torchvision's ImageFolder reads them in sorted order; set `labels` to a "
        "file with the folders' names in the order of the model's classes"
    )
