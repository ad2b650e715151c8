"""Compare the accuracy of an engine on labelled photographs with PyTorch's accuracy."""

import numpy as np

from slipway.benchmark.evaluation import Evaluation, stacked
from slipway.classification.score_figures import accuracy
from slipway.classification.task import OUTPUT
from slipway.contract.contract import Contract


def figures_on_labels(contract: Contract, pytorch: Evaluation, engine: Evaluation) -> dict:
    """Return entries for an engine's accuracy record: its accuracy and PyTorch's on labelled photographs.

    The entries: "images" (number of photographs), "labelled" (number of photographs of known class), "folders" (the
    rule for the class of each folder, as in `Labelling.record`), "pytorch" and "engine" (each {"top1", "top5"}, on the
    photographs of known class). Without such photographs, "pytorch" and "engine" are missing.
    """
    classes, meaning = np.array(pytorch.facts["classes"]), contract.outputs[0].known_meaning
    known = classes >= 0
    figures = {"images": len(classes), "labelled": int(known.sum()), "folders": pytorch.facts["folders"]}
    if known.any():
        for subject, evaluation in (("pytorch", pytorch), ("engine", engine)):
            scores = meaning.scores(stacked(evaluation.answers, OUTPUT))
            figures[subject] = accuracy(scores[known], classes[known])
    return figures


def dropped(figures: dict, limit: float) -> list[str]:
    """Return a list with one sentence if the engine loses more top-1 accuracy than `limit` (0..1); otherwise [].

    `figures` is the result of `figures_on_labels`.
    """
    if not figures["labelled"]:
        return []
    drop = figures["pytorch"]["top1"] - figures["engine"]["top1"]
    return [f"top-1 accuracy falls by {drop:.4f}, allowed {limit:g}"] if drop > limit else []


def below_floor(figures: dict, floor: float | None) -> list[str]:
    """Return a sentence for each top-1 accuracy that is unknown or below `floor` (`accuracy.min_top1`); [] if none is.

    Without a `floor` (None), nothing is checked. `figures` is the result of `figures_on_labels`.
    """
    if floor is None:
        return []
    if not figures["labelled"]:
        return [f"none of the {figures['images']} photographs has a known class, so `accuracy.min_top1` cannot be held"]
    return [
        f"the top-1 accuracy of {name} is {figures[subject]['top1']:.4f}, below `accuracy.min_top1`, {floor:g}"
        for subject, name in (("pytorch", "the model itself"), ("engine", "the engine"))
        if figures[subject]["top1"] < floor
    ]
