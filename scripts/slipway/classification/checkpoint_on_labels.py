"""Compute PyTorch's accuracy of a checkpoint on labelled photographs, and check whether the accuracy is plausible."""

import argparse
from dataclasses import replace

import numpy as np
import torch

from slipway.benchmark.evaluation import Evaluation, stacked
from slipway.classification.label_files import served_labels
from slipway.classification.labelling import UNKNOWN, Labelling, label_photographs
from slipway.classification.paired_accuracy import interval
from slipway.classification.photograph_inputs import PhotographInputs
from slipway.classification.plausibility import clear_gains, drop_from_published, require_reading, try_alternatives
from slipway.classification.published import published_weights
from slipway.classification.score_figures import accuracy
from slipway.classification.task import OUTPUT
from slipway.contract.contract import Contract
from slipway.contract.sample_sources import evenly
from slipway.core.errors import SlipwayError

# The number of photographs on which other preprocessings are tried.
SAMPLE = 200


def labelling_of(arguments: argparse.Namespace, contract: Contract, photographs: PhotographInputs) -> Labelling:
    """Return the true class of each photograph, from the folders and file names, as a Labelling.

    The options in `arguments` name the folder (--labelled), the served labels (--labels), and the user's label file, if
    any (--labels-from). If config.yaml states that the outputs are no class scores, all classes are unknown. Raises
    SlipwayError for outputs that are no class scores without such a statement, for an ambiguous folder, and for a
    single output without names of both classes.
    """
    meaning = contract.outputs[0].known_meaning
    labels, source = served_labels(arguments.labels, arguments.labels_from)
    if not (meaning.has_classes or meaning.is_stated):
        raise SlipwayError(
            f"`accuracy.labelled` names photographs by class ({arguments.labelled}), but {meaning.reason}"
        )
    if meaning.kind == "sigmoid" and len(labels.names) == 1:
        raise SlipwayError(
            "`accuracy.labelled` names photographs by class, and a single output has two classes, but `labels` does "
            "not name both; give it two lines, the name of the no and the name of the yes"
        )
    labelling = label_photographs(photographs.files, arguments.labelled, labels, source)
    return labelling if meaning.has_classes else replace(labelling, classes=np.full_like(labelling.classes, UNKNOWN))


def figures_on_labels(
    network: torch.nn.Module,
    weights: dict,
    contract: Contract,
    photographs: PhotographInputs,
    labelling: Labelling,
    evaluation: Evaluation,
) -> dict:
    """Return entries for the checkpoint's accuracy record: the accuracy on photographs of known class, and its checks.

    The entries: "images", "labelled" (number of photographs of known class), "folders" (`Labelling.record`),
    "published_top1", "alternatives" (the result of `try_alternatives`) and "warnings". If the class of any photograph
    is known, also "top1", "top5" and "top1_interval". `weights` is the content of weights.json. `evaluation` has
    PyTorch's answers to the photographs. Whether the accuracy is plausible is not checked for random weights.
    """
    meaning = contract.outputs[0].known_meaning
    (indices,) = np.nonzero(labelling.classes != UNKNOWN)
    record: dict = {"images": len(photographs.files), "labelled": len(indices), "folders": labelling.record}
    record |= {"published_top1": None, "alternatives": [], "warnings": []}
    if not len(indices):
        return record
    scores = meaning.scores(stacked(evaluation.answers, OUTPUT)[indices])
    record |= accuracy(scores, labelling.classes[indices])
    record["top1_interval"] = interval(record["top1"], len(indices))
    if weights["origin"] == "rehearsal":
        return record
    if labelling.alternative_folders:
        require_reading(labelling, scores.argmax(axis=1))
    published = published_weights(weights["architecture"], weights["weights"] or "")
    top1 = published.top1 if published else None
    sample = [(photographs.files[index], labelling.classes[index]) for index in evenly(indices.tolist(), SAMPLE)]
    tried = try_alternatives(network, meaning, sample, photographs.preprocess, weights["architecture"])
    warnings = drop_from_published(record, top1) + clear_gains(tried)
    return {**record, "published_top1": top1, "alternatives": tried, "warnings": warnings}


def require_floor(record: dict, floor: float | None) -> None:
    """Raise SlipwayError if the checkpoint's top-1 accuracy is unknown, or below `floor` (`accuracy.min_top1`).

    `record` is the checkpoint's accuracy record, with the entries of `figures_on_labels`. Without a `floor` (None),
    nothing is checked.
    """
    if floor is None:
        return
    if not record["labelled"]:
        raise SlipwayError(
            f"`accuracy.min_top1` is {floor:g}, but none of the {record['images']} photographs has a known class; put "
            "the photographs of each class into a folder with the class's label or index as its name"
        )
    if record["top1"] < floor:
        rehearse = "the weights are random, so leave `min_top1` out to rehearse"
        hints = record["warnings"] + [rehearse] * (record["origin"] == "rehearsal")
        raise SlipwayError(
            f"the model's own top-1 accuracy is {record['top1']:.1%} on {record['labelled']} labelled photographs, "
            f"below `accuracy.min_top1`, {floor:.1%}; "
            f"{'; '.join(hints) or 'look at the checkpoint and at `preprocess`'}"
        )
