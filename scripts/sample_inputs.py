"""Take samples of a model's inputs: real ones, evenly spread. Golden answers, comparisons and load tests use them."""

import argparse
from pathlib import Path

from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.classification.sample_photographs import photographs_of
from slipway.contract.golden import write_samples
from slipway.core.artifacts import sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned, settings_of


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--image", type=Path, help="photograph; default: the one that Matplotlib installs")
    arguments.add_argument("--output", type=Path, required=True, help="NumPy archive of samples to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    add_planned(arguments, "image_sha256")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write the samples and their record. The first sample is the golden request."""
    samples, facts = photographs_of(arguments.image, preprocessing_of(arguments), arguments.input)
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


if __name__ == "__main__":
    run(main, parse_arguments())
