"""Take real samples of a model's inputs, evenly spread, for reference outputs, comparisons and load tests."""

import argparse
import json
from dataclasses import asdict

from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.classification.published import IMAGENET, as_written, differences
from slipway.classification.sample_photographs import add_sample, photographs_of
from slipway.contract.archives import write_samples
from slipway.contract.batches import Sizes
from slipway.contract.contract import Tensors
from slipway.contract.samples import add_source, has_source, inputs_alone, name_of, require_targets, samples_of
from slipway.core.artifacts import sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned, settings_of
from slipway.models.sources import source_of

# The number of samples, the same as for the classification task.
SAMPLES = 9


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "record", output="NumPy archive of samples to write")
    add_sample(add_source(arguments))
    add_planned(arguments, "image_sha256")
    add_input(arguments)
    add_preprocessing(arguments)
    arguments.add_argument("--architecture", help="architecture whose source publishes the preprocessing")
    arguments.add_argument("--arguments", type=json.loads, default={}, help="JSON of the architecture's arguments")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Take the samples, and write the samples and their record. The first sample is the reference request."""
    samples, facts = taken(arguments)
    write_samples(arguments.output, samples)
    tensors = {name: f"{array.dtype} {array.shape}" for name, array in samples[0].items()}
    about = {"samples": len(samples), "tensors": tensors, "sha256": sha256(arguments.output)}
    write_json(arguments.record, {"key": settings_of(arguments), **facts, **about})
    progress(f"  {len(samples)} samples of {', '.join(map(' '.join, tensors.items()))}")


def taken(arguments: argparse.Namespace) -> tuple[list[Tensors], dict]:
    """Return (samples [{input: array}], facts about their source for the record).

    The facts are {"source", "sizes"} for `samples` of config.yaml, else {"image", "image_sha256", "preprocess"}.
    """
    if has_source(arguments):
        sizes = Sizes()
        samples = samples_of(arguments, SAMPLES, sizes)
        require_targets(samples, arguments.targets, str(arguments.function or arguments.files))
        samples = inputs_alone(samples, arguments.targets)
        return samples, {"source": name_of(arguments), "sizes": {name: sizes[name] for name in samples[0]}}
    preprocess = preprocessing_of(arguments, published_for(arguments))
    samples, facts = photographs_of(arguments.image, preprocess, arguments.input)
    return samples, {**facts, "preprocess": asdict(preprocess)}


def published_for(arguments: argparse.Namespace) -> dict:
    """Return the published preprocessing for --architecture, {key of `preprocess`: value}; ImageNet's if there is none.

    If the options set another preprocessing than the published one, a warning is printed, and names the differences.
    """
    if arguments.architecture is None:
        return IMAGENET
    source = source_of(arguments.architecture)
    published = source.preprocessing(arguments.architecture, arguments.arguments, "default")
    if published is None:
        return IMAGENET
    settings = IMAGENET | published.settings
    progress(f"  preprocessing of {published.origin}: {as_written(published.settings)}")
    if published.caveat:
        progress(f"  WARNING: {published.caveat}")
    if differing := differences(settings, asdict(preprocessing_of(arguments, settings))):
        progress(
            "  WARNING: `preprocess` in config.yaml differs from it, which may cost accuracy; published is preprocess: "
            f"{as_written(differing)}"
        )
    return settings


if __name__ == "__main__":
    run(main, parse_arguments())
