"""Convert a checkpoint to its canonical form, a safetensors file, and record its SHA-256 and its origin."""

import argparse
import errno
import json
import random
from dataclasses import asdict

import numpy as np

from slipway.contract.archives import read_samples
from slipway.core.cli import progress, run
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.models.architectures import build
from slipway.models.canonical import write_canonical
from slipway.models.checkpoint_files import Content, content_of, read_checkpoint
from slipway.models.choosing import load_checkpoint
from slipway.models.sources import source_of
from slipway.models.trial_runs import in_dtypes_of, require_reproducible, try_run, with_float_pixels
from slipway.models.weight_values import caution_about
from slipway.models.weights_record import weights_parser, write_record
from slipway.networks.calling import call_of, naming
from slipway.storage.local_copies import fetched

# Random weights of a rehearsal: their seed, and the usual standard deviation of transformers' initial weights.
REHEARSAL_SEED, DEVIATION = 0, 0.02
# The value of `weights` that starts a rehearsal.
RANDOM = "random"
NOT_THE_NETWORK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments, place = weights_parser(__doc__, "safetensors file to write", "torchvision_version")
    place.add_argument("--weights", help="a name of the source's weights, `default` for the best, or `random`")
    arguments.add_argument("--architecture", required=True, help="network, as `architecture` in config.yaml names it")
    arguments.add_argument("--arguments", type=json.loads, default={}, help="JSON of the architecture's arguments")
    arguments.add_argument("--no-rehearsal", help="why random weights cannot stand for ones that are not available")
    arguments.add_argument("--weights-key", help="dotted path of the weights in the checkpoint, such as model_ema")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Obtain the weights, check their fit to the architecture, and write the canonical file and its record."""
    denied = vars(arguments).pop("no_rehearsal")  # it changes no weights, so the record does not have it
    if arguments.address:
        arguments.checkpoint = fetched(arguments.address, arguments.fingerprint)
    origin, content, published = obtain(arguments, denied)
    source = source_of(arguments.architecture)
    complete = source.network_arguments(arguments.architecture, arguments.arguments, published)
    given = read_samples(arguments.samples)[0]
    with naming(arguments.samples_from):
        model = build(arguments.architecture, complete, sample=with_float_pixels(given))
        call_of(model, list(given))
    named = arguments.address or arguments.checkpoint or arguments.weights
    if content:
        choice = load_checkpoint(model, content, named, arguments.weights_key)
    else:
        choice = None
        fill_zero_weights(model)
    sample = in_dtypes_of(model, given)
    outputs = try_run(model, sample)
    if not source.is_reproducible:
        require_reproducible(model, arguments.architecture, complete, sample)
    write_canonical(model, arguments.output)
    chosen = [str(choice)] if origin == "checkpoint" else []
    record = write_record(
        arguments,
        origin,
        sample,
        outputs,
        [
            *chosen,
            *caution_about(model),
            *source.notes(arguments.architecture, arguments.arguments, published),
        ],
        architecture=arguments.architecture,
        arguments=complete,
        weights=arguments.weights,
        choice=asdict(choice) if choice else None,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
    progress(f"  {origin} weights, {count_in_words(record['parameters'])} parameters, SHA-256 {record['sha256'][:12]}")


def count_in_words(count: int) -> str:
    """Return a count in the unit that fits its size, such as "12.3 k" or "25.6 M"."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if round(count / size, 3) >= 1:
            return f"{count / size:.1f} {unit}"
    return str(count)


def obtain(arguments: argparse.Namespace, denied: str | None = None) -> tuple[str, Content | None, object | None]:
    """Read or download the weights that the options name. Return (origin, content, published weights).

    The origin is "checkpoint", the title of the source that publishes the weights, or "rehearsal". The content is that
    of the checkpoint; a rehearsal has random weights, so its content is None. A rehearsal follows if `weights` is
    "random", or if "default" weights do not exist or cannot be downloaded. The published weights are the source's
    object for them; None if there are none. A rehearsal's network has their arguments. Raises SlipwayError if other
    weights cannot be downloaded. `denied` is the reason why a rehearsal is not allowed; a rehearsal then raises
    SlipwayError.
    """
    source = source_of(arguments.architecture)
    if arguments.checkpoint:
        content = read_checkpoint(arguments.checkpoint)
        return "checkpoint", content, source.recognised(arguments.architecture, arguments.checkpoint)
    rehearses = arguments.weights == RANDOM
    published = source.named_weights(arguments.architecture, "default" if rehearses else arguments.weights)
    if rehearses or published is None:
        reason = "`weights` is random" if rehearses else f"nobody publishes weights of {arguments.architecture}"
        rehearse(reason, "to a checkpoint", denied)
        return "rehearsal", None, published
    try:
        return source.title, content_of(source.download(published)), published
    except OSError as error:  # including urllib's URLError, which has no errno
        if error.errno in NOT_THE_NETWORK:
            raise SlipwayError(
                f"the download cannot be stored ({error}); free space there, or name a folder that can be written "
                "to as TORCH_HOME"
            ) from None
        if arguments.weights != "default":
            raise SlipwayError(
                f"the weights {arguments.weights} of {arguments.architecture} could not be downloaded from "
                f"{published.url} ({error}). In config.yaml, set `weights` to the path of a local copy; or "
                "set `weights: default` to rehearse with random weights until the download is reachable"
            ) from None
        remedy = (
            "to a local checkpoint, or, once the download is reachable,\n"
            "!! run: snakemake --cores 1 deploy --forcerun fetch_weights\n"
            "!! A model whose pretrained weights are in a Python package: make demo"
        )
        reason = f"the pretrained weights could not be downloaded ({error})"
        rehearse(reason, remedy, denied)
        return "rehearsal", None, published


def rehearse(reason: str, remedy: str, denied: str | None) -> None:
    """Print a warning that random weights replace published weights, and seed the random numbers.

    `reason` says why, and `remedy` ends the sentence "For real weights, set `weights` in config.yaml". Raises
    SlipwayError if `denied`, the reason why random weights are not allowed, is not None.
    """
    if denied:
        raise SlipwayError(
            f"{reason}, and {denied}: set `weights` in config.yaml to a local checkpoint, run this where published "
            "weights can be downloaded, or rehearse with `snakemake --cores 1 evidence`"
        )
    rule = "!" * 100
    progress(
        f"{rule}\n!! REHEARSAL: {reason}.\n"
        "!! The run continues with seeded RANDOM weights: speeds and sizes are real, predictions mean nothing.\n"
        f"!! For real weights, set `weights` in config.yaml {remedy}\n{rule}"
    )
    random.seed(REHEARSAL_SEED)
    np.random.seed(REHEARSAL_SEED)
    torch.manual_seed(REHEARSAL_SEED)


def fill_zero_weights(model: torch.nn.Module) -> None:
    """Give random values to matrices and kernels that are initialised with zeros, such as a ViT's last layer.

    With zeros, every answer would be zero, and comparisons would prove nothing.
    """
    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.trunc_normal_(parameter, std=DEVIATION)


if __name__ == "__main__":
    run(main, parse_arguments())
