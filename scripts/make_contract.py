"""Make the contract of a model, its inputs and outputs, from config.yaml, the network and samples."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from slipway.classification.classifier_contract import class_names, contract_of
from slipway.classification.images import Preprocessing
from slipway.classification.task import INPUT
from slipway.contract.archives import read_samples
from slipway.contract.batches import Sizes, joined
from slipway.contract.contract import Contract, Tensor, Tensors
from slipway.contract.discovery import find_contract
from slipway.core.artifacts import read_json, write_json, write_text
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned
from slipway.core.pytorch import torch
from slipway.models.canonical import load_model
from slipway.networks.calling import naming
from slipway.networks.graph_network import GraphNetwork
from slipway.outputs.meaning import KINDS


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    written = ("contract", "interface", "labels")
    arguments = parser(__doc__, "weights", "weights_record", "samples", "samples_record", *written)
    arguments.add_argument("--samples-from", help="source of the samples in config.yaml, for messages")
    arguments.add_argument("--labels-from", type=Path, help="text file with the names of an output's values")
    arguments.add_argument("--meaning", choices=KINDS, help="meaning of the outputs; default: found from the network")
    arguments.add_argument("--inputs", type=json.loads, help="JSON: `inputs` in config.yaml, of a model with samples")
    arguments.add_argument("--axes", type=json.loads, help="JSON: its `axes`")
    arguments.add_argument("--outputs", type=json.loads, help="JSON: its `outputs`")
    add_planned(arguments, "labels_from_sha256", "torch_version", "torchvision_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find the contract, the description of the model's inputs and outputs, and write its files.

    contract.json is written last.
    """
    weights = read_json(arguments.weights_record)
    model, samples = load_model(arguments.weights, weights), read_samples(arguments.samples)
    preprocess = read_json(arguments.samples_record).get("preprocess")
    if preprocess is None:
        contract, names = of_samples(arguments, model, samples, weights)
    else:
        stated = Preprocessing.of(preprocess), weights, arguments.meaning, arguments.labels_from
        contract, names = contract_of(model, joined(samples)[INPUT], *stated)
    if isinstance(model, GraphNetwork):
        contract = replace(contract, facts={**contract.facts, "baseline": model.runtime})
    write_text(arguments.labels, "".join(f"{name}\n" for name in names))
    write_json(arguments.interface, contract.interface())
    write_json(arguments.contract, contract.record())
    inputs, outputs = (", ".join(map(Tensor.in_words, side)) for side in (contract.inputs, contract.outputs))
    progress(f"  takes {inputs}; gives {outputs}")
    for tensor in contract.outputs:
        meaning = tensor.known_meaning
        if meaning.reason and (meaning.has_classes or not meaning.is_stated):
            progress(f"  {tensor.name} has {meaning.in_words}: {meaning.reason}")


def of_samples(
    arguments: argparse.Namespace, model: torch.nn.Module, samples: list[Tensors], weights: dict
) -> tuple[Contract, list[str]]:
    """Find the contract of a model with `samples` in config.yaml. Return (contract, names of an output's values).

    `weights` is the record of the checkpoint. The names belong to the first output with scores. Without such an output,
    the list is empty.
    """
    stated = {name: getattr(arguments, name) for name in ("inputs", "axes", "outputs")}
    with naming(arguments.samples_from):
        extremes = Sizes(read_json(arguments.samples_record)["sizes"]).extremes(samples[0])
        contract = replace(find_contract(model, samples, stated, extremes), facts={"task": "tensors"})
    scores = [tensor for tensor in contract.outputs if tensor.known_meaning.has_classes]
    count = scores[0].shape[-1] if scores else None
    return contract, class_names(arguments.labels_from, count, weights) if isinstance(count, int) else []


if __name__ == "__main__":
    run(main, parse_arguments())
