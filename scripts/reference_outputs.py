"""Compute the golden answers: PyTorch's FP32 outputs for samples of the inputs. Every engine must reproduce them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.contract.contract import Contract
from slipway.contract.golden import Golden, Sample, read_samples
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned, settings_of
from slipway.models import load_model
from slipway.networks.model_inputs import logits_of, random_batch, served_model
from slipway.networks.own_answers import require_own_answers
from slipway.onnx.tensor_names import INPUT, OUTPUT
from slipway.outputs.showing import answer_of, sentence_of
from slipway.outputs.variation import ROUNDING, require_variation, variation

if TYPE_CHECKING:
    import torch


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--contract", type=Path, required=True, help="contract of the model (.json)")
    arguments.add_argument("--labels", type=Path, required=True, help="class names, one a line")
    arguments.add_argument("--samples", type=Path, required=True, help="samples of the inputs (.npz)")
    arguments.add_argument("--samples-record", type=Path, required=True, help="their record (.json)")
    arguments.add_argument("--output", type=Path, required=True, help="NumPy archive to write: samples and answers")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    add_planned(arguments, "torch_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Run the network on the samples, check its answers, write them."""
    weights, contract = read_json(arguments.weights_record), Contract.read(arguments.contract)
    taken, inputs, output = read_json(arguments.samples_record), read_samples(arguments.samples), contract.outputs[0]
    network = network_of(contract, load_model(arguments.weights, weights))
    company = require_own_answers(network, inputs[0][INPUT])
    answers = [logits_of(network, sample[INPUT]) for sample in inputs]
    varies = variation_of(network, contract, np.concatenate(answers))
    samples = [Sample(sample, {OUTPUT: answer}) for sample, answer in zip(inputs, answers, strict=True)]
    Golden(contract, tuple(samples)).write(arguments.output)
    labels = arguments.labels.read_text(encoding="utf-8").splitlines()
    record = {
        "origin": weights["origin"],
        "key": settings_of(arguments),
        "weights_sha256": weights["sha256"],
        **{name: taken[name] for name in ("image", "image_sha256") if name in taken},
        **{name: contract.facts[name] for name in ("preprocess",) if name in contract.facts},
        "input_dtype": contract.inputs[0].dtype,
        "sha256": sha256(arguments.output),
        "company": company,
        "output": output.meaning.record(),
        "variation": varies,
        **answer_of(answers[0][0], output.meaning, labels),
    }
    write_json(arguments.record, record)
    progress(f"  PyTorch says {sentence_of(record, 1)}")


def network_of(contract: Contract, network: "torch.nn.Module") -> "torch.nn.Module":
    """Return the network with the normalisation of its contract."""
    return served_model(network, contract.inputs[0].normalisation, contract.inputs[0].dtype)


def variation_of(network: "torch.nn.Module", contract: Contract, answers: np.ndarray) -> float:
    """Return the difference between the answers to the samples, relative to their size.

    If it is tiny, the model is also run on noise, black and white. Raises SlipwayError if all answers are equal.
    """
    varies = variation(answers)
    if varies < ROUNDING:
        probes = random_batch(contract.inputs[0].dtype, 4, contract.inputs[0].shape[-1])
        probes[2], probes[3] = probes.min(), probes.max()
        differing = np.concatenate([answers, logits_of(network, probes)])
        require_variation([{OUTPUT: answer[None]} for answer in differing])
        progress(
            "  CAUTION: the model answers the sample photograph and its variations alike, so they prove little; name "
            "another `image` in config.yaml"
        )
    return varies


if __name__ == "__main__":
    run(main, parse_arguments())
