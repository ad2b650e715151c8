"""Make the contract of a model, the tensors that it takes and gives, from config.yaml, the network and samples."""

import argparse
from pathlib import Path

from slipway.classification.classifier_contract import contract_of
from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.contract.batches import joined
from slipway.contract.golden import read_samples
from slipway.core.artifacts import read_json, write_json, write_text
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned
from slipway.models import load_model
from slipway.onnx.tensor_names import INPUT
from slipway.outputs.meaning import KINDS


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--samples", type=Path, required=True, help="samples of the inputs (.npz)")
    arguments.add_argument("--labels-from", type=Path, help="text file with one class name a line")
    arguments.add_argument("--meaning", choices=KINDS, help="meaning of the outputs; default: found from the network")
    arguments.add_argument("--contract", type=Path, required=True, help="JSON to write: the whole contract")
    arguments.add_argument(
        "--interface", type=Path, required=True, help="JSON to write: the part that graphs and engines depend on"
    )
    arguments.add_argument("--labels", type=Path, required=True, help="class names to write, one a line")
    add_planned(arguments, "labels_from_sha256", "torch_version", "torchvision_version")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find the contract, and write its files. The contract itself is written last."""
    weights, preprocess = read_json(arguments.weights_record), preprocessing_of(arguments)
    pictures = joined(read_samples(arguments.samples))[INPUT]
    model = load_model(arguments.weights, weights)
    contract, labels = contract_of(model, pictures, preprocess, weights, arguments.meaning, arguments.labels_from)
    write_text(arguments.labels, "\n".join(labels) + "\n")
    write_json(arguments.interface, contract.interface())
    write_json(arguments.contract, contract.record())
    taken, given = (", ".join(tensor.in_words() for tensor in side) for side in (contract.inputs, contract.outputs))
    progress(f"  takes {taken}; gives {given}")
    for tensor in contract.outputs:
        progress(f"  {tensor.name} has {tensor.meaning.in_words}: {tensor.meaning.because}")


if __name__ == "__main__":
    run(main, parse_arguments())
