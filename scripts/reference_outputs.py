"""Compute the reference outputs: PyTorch's FP32 outputs for samples of the inputs. Every engine must reproduce them."""

import argparse

from slipway.benchmark.batch_neighbours import batch_neighbours
from slipway.contract.archives import read_samples
from slipway.contract.contract import Contract, Tensors
from slipway.contract.network import ServedNetwork, answers_of
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import about_weights, add_planned
from slipway.models.canonical import load_model
from slipway.networks.batch_independence import require_batch_independence
from slipway.outputs.presentation import record_of, sentences_of
from slipway.outputs.variation import ROUNDING, require_variation, variations
from slipway.outputs.wording import words_of


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    common = ("weights", "weights_record", "contract", "labels", "samples", "samples_record", "record")
    arguments = parser(__doc__, *common, output="NumPy archive to write: samples and answers")
    add_planned(arguments, "torch_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Run the network on the samples, check its answers, and write the reference outputs and their record."""
    weights, contract = read_json(arguments.weights_record), Contract.read(arguments.contract)
    source, inputs = read_json(arguments.samples_record), read_samples(arguments.samples)
    network = ServedNetwork(load_model(arguments.weights, weights), contract)
    distances = require_batch_independence(network, contract, inputs)
    answers = [answers_of(network, contract, sample) for sample in inputs]
    varies = variation_of(network, contract, inputs, answers)
    ReferenceOutputs(contract, tuple(map(Sample, inputs, answers))).write(arguments.output)
    shown = record_of(answers[0], contract, arguments.labels.read_text(encoding="utf-8").splitlines())
    record = {
        **about_weights(arguments, weights),
        **{name: source[name] for name in ("image", "image_sha256") if name in source},
        **{name: contract.facts[name] for name in ("preprocess",) if name in contract.facts},
        "sha256": sha256(arguments.output),
        "batch_independence": distances,
        "variation": varies,
        "outputs": shown,
    }
    write_json(arguments.record, record)
    progress(f"  {contract.baseline}'s answer to {words_of(contract).first}: {'; '.join(sentences_of(shown, 1))}")


def variation_of(network: ServedNetwork, contract: Contract, samples: list[Tensors], answers: list[Tensors]) -> float:
    """Return how much the network's answers vary over its samples: the largest variation of an output.

    For the variation of an output, see `slipway.outputs.variation`. If it is tiny, the samples prove little: a warning
    is printed, and the network also runs on noise, and on low and high values. Raises SlipwayError if all these answers
    are equal, too.
    """
    varies = max(variations(answers).values(), default=0.0)
    if varies < ROUNDING:
        others = [answers_of(network, contract, sample) for sample in batch_neighbours(contract, samples)]
        require_variation([*answers, *others])
        progress(
            "  CAUTION: the model answers its samples alike, so they prove little; name others in config.yaml "
            "(`image`, or `samples`)"
        )
    return varies


if __name__ == "__main__":
    run(main, parse_arguments())
