"""Add the options for evaluation data and the user's metric, and read the evaluation data."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from slipway.classification.photograph_inputs import PhotographInputs, add_labelled
from slipway.contract.contract import Contract, Tensors
from slipway.contract.samples import take_samples
from slipway.core.job_settings import add_planned
from slipway.core.setting_options import add_settings


def add_evaluation_data(arguments: argparse.ArgumentParser) -> None:
    """Add the options for evaluation data (--labelled, --function or --files) and for the user's metric (--metric)."""
    source = arguments.add_mutually_exclusive_group()
    add_labelled(source)
    source.add_argument("--function", help="package.module:function that yields samples")
    source.add_argument("--files", type=Path, help=".npz file of samples, or a folder of them")
    add_settings(arguments, "accuracy", "max_samples")
    arguments.add_argument("--metric", help="package.module:function of answers and samples, for {name: value}")
    arguments.add_argument("--metric-limits", type=json.loads, default={}, help='JSON: {name: {"min", "max"}}')
    arguments.add_argument("--targets", nargs="+", default=[], help="arrays of the samples that only the metric reads")
    add_planned(arguments, "labelled_sha256", "files_sha256")


def evaluation_data(arguments: argparse.Namespace, contract: Contract) -> Iterable[Tensors] | None:
    """Return the evaluation samples that the options of `add_evaluation_data` name; None without such options.

    The result can be iterated several times.
    """
    if arguments.labelled:
        return PhotographInputs.of(arguments.labelled, arguments.max_samples, contract)
    source = arguments.function or arguments.files
    return take_samples(str(source), arguments.max_samples, contract.batched, arguments.targets) if source else None
