"""The contract of a classifier of photographs: one picture in, one row of scores out."""

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from slipway.classification.images import Preprocessing
from slipway.classification.label_files import read_labels
from slipway.classification.logits import logits_of
from slipway.classification.output_meaning import find_meaning, last_operation
from slipway.classification.task import INPUT, OUTPUT, TASK
from slipway.contract.contract import BATCH, Contract, Normalisation, Tensor
from slipway.contract.network import ServedNetwork
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError


def contract_of(
    model: torch.nn.Module,
    pictures: np.ndarray,
    preprocess: Preprocessing,
    weights: dict,
    stated: str | None,
    labels_from: Path | None,
) -> tuple[Contract, list[str]]:
    """Find the meaning of a classifier's scores, and return (its contract, the names of its classes).

    `pictures` (N, 3, crop, crop) are samples of the input. `weights` is the content of weights.json. `stated` is the
    meaning that config.yaml gives the output, such as "sigmoid", or None. `labels_from` is the user's label file, or
    None. Raises SlipwayError if the answers are not one row of scores for each picture, or contradict config.yaml.
    """
    shape, dtype = (BATCH, *pictures.shape[1:]), pictures.dtype.name
    normalisation = Normalisation(preprocess.mean, preprocess.std) if dtype == "uint8" else None
    inputs = (Tensor(INPUT, dtype, shape, normalisation=normalisation),)
    answers = logits_of(model, pictures, normalisation)
    network = ServedNetwork(model, Contract(inputs, (Tensor(OUTPUT, "", ()),)))
    last = last_operation(network, {INPUT: pictures[:1]}, OUTPUT)
    labels = class_names(labels_from, answers.shape[1], weights)
    named_by = "`labels` names a class for each" if labels_from else _named_by(model, weights, answers.shape[1])
    meaning = find_meaning(stated, last, answers, named_by)
    if labels_from and not (meaning.has_classes or meaning.is_stated):
        raise SlipwayError(f"`labels` in config.yaml names classes, but {meaning.reason}")
    if meaning.kind == "sigmoid" and answers.shape[1] == 1 and len(labels) == 2:
        meaning = replace(meaning, negative=labels[0])  # the first label names the negative class
    output = Tensor(OUTPUT, answers.dtype.name, (BATCH, *answers.shape[1:]), meaning=meaning)
    return Contract(inputs, (output,), facts={"task": TASK, "preprocess": asdict(preprocess)}), labels


def class_names(labels_from: Path | None, count: int, weights: dict) -> list[str]:
    """Return `count` class names: from the user, or else from the architecture or its configuration, or else "class i".

    `labels_from` is the user's label file, or None. `weights` is the content of weights.json. torchvision's classifiers
    have names; the configurations of transformers have names as `id2label`. For a single output, the user may give two
    names: first the negative class, then the positive class. Raises SlipwayError if the user gives another number of
    names.
    """
    if labels_from:
        names = read_labels(labels_from).names
        if len(names) != count and (count, len(names)) != (1, 2):
            raise SlipwayError(
                f"{labels_from} names {len(names)} classes, but the model has {count}; write one name a line, or "
                "correct `arguments` (such as num_classes)"
            )
        if repeated := [name for name, classes in Counter(names).items() if classes > 1]:
            progress(f"  WARNING: {labels_from} has {', '.join(repeated[:3])} for more than one class")
        return names
    named, indices = weights["arguments"].get("id2label") or {}, list(map(str, range(count)))
    if named.keys() == set(indices):
        return [str(named[index]) for index in indices]
    architecture = weights["architecture"]
    if architecture and ":" not in architecture:
        import torchvision

        names = torchvision.models.get_model_weights(architecture).DEFAULT.meta.get("categories", [])
        if len(names) == count:
            return names
    return [f"class {index}" for index in indices]


def _named_by(model: torch.nn.Module, weights: dict, outputs: int) -> str | None:
    """Return the evidence that a network's outputs are class scores, in words; None without evidence.

    `outputs` is the number of values in its output. The evidence comes from the architecture or from its arguments in
    `weights`, the content of weights.json.
    """
    if weights["architecture"] and ":" not in weights["architecture"]:
        return f"{weights['architecture']} is a classifier of torchvision"
    if counts := [name for name, value in weights["arguments"].items() if "class" in name and value == outputs]:
        return f"the architecture is made with {counts[0]} {outputs}"
    if getattr(model, "num_classes", None) == outputs:
        return f"the network's num_classes is {outputs}"
    return None
