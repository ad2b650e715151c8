"""Compute PyTorch's answers to evaluation data, once for all engines, and check the checkpoint's limits."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from slipway.benchmark import metric
from slipway.benchmark.evaluation import evaluated
from slipway.benchmark.evaluation_data import add_evaluation_data, evaluation_data
from slipway.classification import checkpoint_on_labels
from slipway.classification.accuracy_shown import show_checkpoint
from slipway.classification.photograph_inputs import PhotographInputs
from slipway.contract.contract import Contract
from slipway.contract.network import ServedNetwork, answers_of
from slipway.core.artifacts import read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import about_weights, add_planned
from slipway.models.canonical import load_model


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    common = ("weights", "weights_record", "contract", "labels", "output")
    arguments = parser(__doc__, *common, evaluation="NumPy archive of PyTorch's answers to write")
    add_evaluation_data(arguments)
    arguments.add_argument("--labels-from", type=Path, help="the user's file of names, if there is one")
    arguments.add_argument("--min-top1", type=float, help="lowest top-1 accuracy, of 0..1")
    add_planned(arguments, "labels_from_sha256", "torch_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Evaluate the checkpoint; write the answers, then the figures.

    Raises SlipwayError if the checkpoint breaks a limit.
    """
    weights, contract = read_json(arguments.weights_record), Contract.read(arguments.contract)
    samples = evaluation_data(arguments, contract)
    if samples is None:
        raise SlipwayError("there are no evaluation data; name them by --labelled, --files or --function")
    network, labelling, facts = load_model(arguments.weights, weights), None, {}
    if isinstance(samples, PhotographInputs):
        labelling = checkpoint_on_labels.labelling_of(arguments, contract, samples)
        facts = {"classes": labelling.classes.tolist(), "folders": labelling.record}
    evaluation = evaluated(partial(answers_of, ServedNetwork(network, contract), contract), contract, samples)
    values = metric.measure(arguments.metric, evaluation.answers, samples, arguments.metric_limits)
    evaluation = replace(evaluation, facts={**facts, "metric": values})
    record = about_weights(arguments, weights) | {
        "samples": len(evaluation.samples),
        "samples_sha256": evaluation.samples_sha256,
        "metric": values,
    }
    if labelling and isinstance(samples, PhotographInputs):
        record |= checkpoint_on_labels.figures_on_labels(network, weights, contract, samples, labelling, evaluation)
        checkpoint_on_labels.require_floor(record, arguments.min_top1)
    if problems := metric.broken(values, arguments.metric_limits):
        raise SlipwayError(
            f"{contract.baseline} itself breaks the limits of {arguments.metric}: {'; '.join(problems)}; look at the "
            "checkpoint, its samples, and the limits of `metric` in config.yaml"
        )
    evaluation.write(arguments.evaluation)
    write_json(arguments.output, record)
    if labelling:
        show_checkpoint(record)
    if record["metric"]:
        progress(f"  {contract.baseline} on {len(evaluation.samples)} samples: {metric.in_words(record['metric'])}")


if __name__ == "__main__":
    run(main, parse_arguments())
