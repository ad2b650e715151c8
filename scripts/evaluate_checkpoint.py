"""Evaluate a checkpoint in PyTorch on labelled photographs: its accuracy, also with other preprocessings."""

import argparse
from pathlib import Path

import numpy as np

from slipway.classification.image_files import find_images
from slipway.classification.images import Preprocessing
from slipway.classification.label_files import served_labels
from slipway.classification.labelling import Labelling, label_photographs
from slipway.classification.plausibility import (
    Photographs,
    Scorer,
    clear_gains,
    drop_from_published,
    interval,
    require_reading,
)
from slipway.classification.preprocessing_options import add_preprocessing, preprocessing_of
from slipway.classification.published import published_weights
from slipway.classification.score_figures import accuracy
from slipway.contract.golden import Golden
from slipway.core.artifacts import read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import add_planned, settings_of
from slipway.models import load_model

# The number of photographs for trying other preprocessings.
SAMPLE = 200


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--labels", type=Path, required=True, help="class names, one a line")
    arguments.add_argument("--labels-from", type=Path, help="the user's label file, if the names come from one")
    arguments.add_argument(
        "--golden", type=Path, required=True, help="reference outputs (.npz), with the meaning of the outputs"
    )
    arguments.add_argument("--labelled", type=Path, required=True, help="folder of labelled photographs")
    arguments.add_argument(
        "--max-images", type=int, default=1000, help="largest number of photographs from this folder"
    )
    arguments.add_argument("--min-top1", type=float, help="lowest top-1 accuracy, of 0..1")
    add_planned(arguments, "labelled_sha256", "labels_from_sha256", "torch_version")
    arguments.add_argument("--output", type=Path, required=True, help="JSON to write")
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Evaluate and write the figures. Raise SlipwayError if the accuracy is too low, or a folder is ambiguous."""
    weights, preprocess = read_json(arguments.weights_record), preprocessing_of(arguments)
    images = find_images(arguments.labelled, arguments.max_images)
    labels, source = served_labels(arguments.labels, arguments.labels_from)
    meaning = Golden.read(arguments.golden).meaning
    meaning.require_labels_of_use(arguments.labelled)
    meaning.require_name_for_each(labels.names)
    labelling = label_photographs(images, arguments.labelled, labels, source)
    indices = np.flatnonzero(labelling.classes >= 0) if meaning.has_classes else []
    record = {
        "origin": weights["origin"],
        "key": settings_of(arguments),
        "weights_sha256": weights["sha256"],
        "images": len(images),
        "labelled": len(indices),
        "folders": labelling.record(labels.names),
        "published_top1": None,
        "alternatives": [],
        "warnings": [],
    }
    if len(indices):
        scorer = Scorer(load_model(arguments.weights, weights), meaning)
        photographs = Photographs([images[index] for index in indices], labelling.classes[indices])
        record |= evaluated(scorer, weights, photographs, labelling, preprocess)
    require_floor(record, arguments.min_top1)
    write_json(arguments.output, record)
    show(record)


def evaluated(
    scorer: Scorer, weights: dict, photographs: Photographs, labelling: Labelling, preprocess: Preprocessing
) -> dict:
    """Return the accuracy on the photographs and, unless the weights are random, checks of its plausibility."""
    (scores,) = scorer.scores(photographs.files, [preprocess])
    best_classes = scores.argmax(axis=1)
    figures = {**accuracy(scores, photographs.classes), "top1_interval": interval(best_classes == photographs.classes)}
    if weights["origin"] == "rehearsal":
        return figures
    if labelling.alternative_folders:
        require_reading(labelling, best_classes)
    published = published_weights(weights["architecture"], weights.get("weights") or "")
    top1 = published.top1 if published else None
    tried = scorer.try_alternatives(photographs.sample(SAMPLE), preprocess, weights["architecture"])
    dropped = drop_from_published(figures, top1, len(photographs.files))
    return {**figures, "published_top1": top1, "alternatives": tried, "warnings": dropped + clear_gains(tried)}


def require_floor(record: dict, floor: float | None) -> None:
    """Raise SlipwayError if the accuracy is below `accuracy.min_top1`, or unknown."""
    if floor is None:
        return
    if not record["labelled"]:
        raise SlipwayError(
            f"`accuracy.min_top1` is {floor:g}, but none of the {record['images']} photographs has a known class; put "
            "the photographs of each class into a folder with the class's label or index as its name"
        )
    if record["top1"] < floor:
        hints = [*record["warnings"]]
        if record["origin"] == "rehearsal":
            hints.append("the weights are random, so leave `min_top1` out to rehearse")
        raise SlipwayError(
            f"PyTorch's own top-1 accuracy is {record['top1']:.1%} on {record['labelled']} labelled photographs, below "
            f"`accuracy.min_top1`, {floor:.1%}; {'; '.join(hints) or 'look at the checkpoint and at `preprocess`'}"
        )


def show(record: dict) -> None:
    """Print the accuracy, the rules by which the folders were read, and warnings."""
    if not record["labelled"]:
        progress(f"  none of the {record['images']} photographs has a known class, or outputs are no class scores")
        return
    low, high = record["top1_interval"]
    progress(
        f"  PyTorch on {record['labelled']} labelled photographs: top-1 {record['top1']:.1%} (99 % interval {low:.1%} "
        f"to {high:.1%}), top-5 {record['top5']:.1%}"
    )
    rules = sorted({folder["rule"] for folder in record["folders"]})
    progress(f"  rules by which their classes were read: {', '.join(rules)}")
    for warning in record["warnings"]:
        progress(f"  WARNING: {warning}")


if __name__ == "__main__":
    run(main, parse_arguments())
