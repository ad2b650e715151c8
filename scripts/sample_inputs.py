"""Take samples of a model's inputs: real ones, evenly spread. Golden answers, comparisons and load tests use them."""

import argparse
from pathlib import Path

from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.classification.sample_photographs import add_sample, photographs_of
from slipway.contract.contract import Tensors
from slipway.contract.golden import write_samples
from slipway.contract.samples import take_samples
from slipway.core.artifacts import sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned, settings_of

# The number of samples, as many as the classification task has.
SAMPLES = 9


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    source = arguments.add_mutually_exclusive_group()
    add_sample(source)
    source.add_argument("--function", help="package.module:function that yields {input: array}")
    source.add_argument("--files", type=Path, help=".npz file or folder of them")
    arguments.add_argument(
        "--batched",
        action=argparse.BooleanOptionalAction,
        help="whether the first axis of the inputs is the batch axis",
    )
    arguments.add_argument("--output", type=Path, required=True, help="NumPy archive of samples to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    add_planned(arguments, "image_sha256", "files_sha256")
    add_input(arguments)
    add_preprocessing(arguments, required=False)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write the samples and their record. The first sample is the golden request."""
    samples, facts = samples_of(arguments)
    write_samples(arguments.output, samples)
    tensors = {name: f"{array.dtype} {array.shape}" for name, array in samples[0].items()}
    record = {
        "key": settings_of(arguments),
        **facts,
        "samples": len(samples),
        "tensors": tensors,
        "sha256": sha256(arguments.output),
    }
    write_json(arguments.record, record)
    progress(f"  {len(samples)} samples of {', '.join(f'{name} {said}' for name, said in tensors.items())}")


def samples_of(arguments: argparse.Namespace) -> tuple[list[Tensors], dict]:
    """Return the samples, and the facts about their source for the record."""
    if not (arguments.function or arguments.files):
        return photographs_of(arguments.image, preprocessing_of(arguments), arguments.input)
    samples = take_samples(arguments.function or str(arguments.files), SAMPLES, arguments.batched)
    return samples, {"source": arguments.function or arguments.files.name}


if __name__ == "__main__":
    run(main, parse_arguments())
