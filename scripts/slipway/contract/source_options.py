"""The command-line options for a source of samples, shared by all programs that read samples."""

import argparse
from pathlib import Path

from slipway.contract.contract import Tensors
from slipway.contract.samples import take_samples
from slipway.contract.sizes import Sizes
from slipway.core.job_settings import add_planned


def add_source(arguments: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add --function, --files, --batched and --targets. Return the exclusive group of --function and --files."""
    source = arguments.add_mutually_exclusive_group()
    source.add_argument("--function", help="package.module:function that yields {input: array} for each sample")
    source.add_argument("--files", type=Path, help=".npz file of samples, or folder of them")
    arguments.add_argument(
        "--batched",
        action=argparse.BooleanOptionalAction,
        help="whether the first axis of the inputs is the batch axis; left out, it is not known",
    )
    arguments.add_argument("--targets", nargs="+", default=[], help="arrays of the samples that only the metric reads")
    add_planned(arguments, "files_sha256")
    return source


def has_source(arguments: argparse.Namespace) -> bool:
    """Return whether --function or --files is given."""
    return bool(arguments.function or arguments.files)


def samples_of(arguments: argparse.Namespace, count: int, sizes: Sizes | None = None) -> list[Tensors]:
    """Return at most `count` samples of the source in the options, as `take_samples` does, with their targets."""
    return take_samples(arguments.function or str(arguments.files), count, arguments.batched, arguments.targets, sizes)


def name_of(arguments: argparse.Namespace) -> str:
    """Return the name of the source for a record: the function, or the name of the file or folder."""
    return arguments.function or arguments.files.name
