"""Compute the reference outputs: PyTorch's FP32 outputs for the sample photograph. Every engine must reproduce them."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.classification.finding_meaning import find_meaning, last_operation, require_no_lone_softmax
from slipway.classification.images import load_image, sample_photograph
from slipway.classification.perturbations import varied_batch
from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.contract.network import served_network
from slipway.core.artifacts import read_json, sha256, write_json, written_whole
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import add_planned, settings_of
from slipway.models import load_model
from slipway.networks.model_inputs import logits_of, photograph_batch, random_batch, served_model
from slipway.networks.own_answers import require_own_answers
from slipway.onnx.tensor_names import OUTPUT
from slipway.outputs.meaning import KINDS, Meaning
from slipway.outputs.showing import answer_of, sentence_of
from slipway.outputs.variation import ROUNDING, require_variation, variation

if TYPE_CHECKING:
    import torch


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--labels", type=Path, required=True, help="class names, one a line")
    arguments.add_argument("--image", type=Path, help="photograph; default: the one that Matplotlib installs")
    arguments.add_argument("--output", type=Path, required=True, help="NumPy archive to write: input and logits")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    arguments.add_argument("--meaning", choices=KINDS, help="meaning of the outputs; default: found from the network")
    add_planned(arguments, "image_sha256", "torch_version")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Preprocess the photograph, run the model, write the input (1, 3, H, W) and the logits (1, classes).

    Also written are 8 variations of the photograph, `variations` (8, 3, H, W), their `variation_logits`, and the
    meaning of the outputs as JSON, `output`.
    """
    image = arguments.image or sample_photograph()
    preprocess = preprocessing_of(arguments)
    batch = photograph_batch([image], preprocess, arguments.input)
    varied = varied_batch(load_image(image), preprocess, arguments.input)
    weights = read_json(arguments.weights_record)
    model = served_model(load_model(arguments.weights, weights), preprocess, arguments.input)
    company = require_own_answers(model, batch)
    logits, varied_logits = logits_of(model, batch), logits_of(model, varied)
    answers = np.concatenate([logits, varied_logits])
    contract = Contract((Tensor("input", str(batch.dtype), (BATCH, *batch.shape[1:])),), (Tensor("logits", "", ()),))
    last = last_operation(served_network(model, contract), {"input": batch}, "logits")
    require_no_lone_softmax(last, answers.shape[1])
    varies = variation_of(model, arguments, answers)
    labels = arguments.labels.read_text(encoding="utf-8").splitlines()
    meaning = meaning_of(last, answers, arguments.meaning, weights, labels)
    with written_whole(arguments.output) as partial, open(partial, "wb") as file:
        arrays = {"input": batch, "logits": logits, "variations": varied, "variation_logits": varied_logits}
        np.savez(file, **arrays, output=json.dumps(meaning.record()))
    record = {
        "origin": weights["origin"],
        "key": settings_of(arguments),
        "weights_sha256": weights["sha256"],
        "image": Path(image).name,
        "image_sha256": sha256(image),
        "input_dtype": arguments.input,
        "sha256": sha256(arguments.output),
        "company": company,
        "output": meaning.record(),
        "variation": varies,
        **answer_of(logits[0], meaning, labels),
    }
    write_json(arguments.record, record)
    progress(f"  PyTorch says {sentence_of(record, 1)}\n  its outputs are {meaning.in_words}: {meaning.because}")


def variation_of(model: "torch.nn.Module", arguments: argparse.Namespace, answers: np.ndarray) -> float:
    """Return the difference between the answers to the photograph and its variations, relative to their size.

    If it is tiny, the model is also run on noise, black and white. Raises SlipwayError if all answers are equal.
    """
    varies = variation(answers)
    if varies < ROUNDING:
        probes = random_batch(arguments.input, 4, arguments.crop)
        probes[2], probes[3] = probes.min(), probes.max()
        differing = np.concatenate([answers, logits_of(model, probes)])
        require_variation([{OUTPUT: answer[None]} for answer in differing])
        progress(
            "  CAUTION: the model answers the sample photograph and its variations alike, so they prove little; name "
            "another `image` in config.yaml"
        )
    return varies


def meaning_of(last: str, answers: np.ndarray, stated: str | None, weights: dict, labels: list[str]) -> Meaning:
    """Return the meaning of the outputs of a model whose last operation is `last`.

    For a single yes or no with two labels, the first label is the name of the no. Raises SlipwayError if the user named
    classes, but the outputs are no class scores.
    """
    meaning = find_meaning(stated, last, answers, named_by(weights, answers.shape[1]))
    if not (meaning.has_classes or meaning.is_stated) and has_labels(weights):
        raise SlipwayError(f"`labels` in config.yaml names classes, but {meaning.because}")
    two = meaning.kind == "sigmoid" and answers.shape[1] == 1 and len(labels) == 2
    return replace(meaning, negative=labels[0]) if two else meaning


def has_labels(weights: dict) -> bool:
    """Return whether the user named the classes."""
    return "labels_from_sha256" in weights.get("key", {})


def named_by(weights: dict, outputs: int) -> str | None:
    """Return in words where the names of a model's classes come from; None if they have no names."""
    if has_labels(weights):
        return "`labels` names a class for each"
    if ":" not in weights["architecture"]:
        return f"{weights['architecture']} is a classifier of torchvision"
    if counts := [name for name, value in weights["arguments"].items() if "class" in name and value == outputs]:
        return f"the architecture is made with {counts[0]} {outputs}"
    return None


if __name__ == "__main__":
    run(main, parse_arguments())
