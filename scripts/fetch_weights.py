"""Bring a checkpoint into canonical form: safetensors, its SHA-256, its origin, its class names."""

import argparse
import errno
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.artifacts import sha256, write_json, written_whole
from slipway.errors import SlipwayError
from slipway.inputs import logits_of, random_batch
from slipway.models import build, load_strictly, read_checkpoint
from slipway.networks.rehearsed import fill_zero_weights
from slipway.photographs.label_files import read_labels
from slipway.planned import add_planned, settings_of
from slipway.program import parser, progress, run

if TYPE_CHECKING:
    import torch

REHEARSAL_SEED = 0
DOWNLOAD_TIMEOUT_S = 20
NOT_THE_NETWORK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--architecture", required=True, help="torchvision classifier, or package.module:factory")
    arguments.add_argument("--arguments", type=json.loads, default={}, help="JSON of the architecture's arguments")
    source = arguments.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", help="a name of torchvision's weights, or `default` for the best or a rehearsal")
    source.add_argument("--checkpoint", type=Path, help="a local checkpoint: .safetensors, or one of PyTorch")
    arguments.add_argument("--try-with", type=int, default=224, help="pixels (height and width) that the model takes")
    arguments.add_argument("--labels-from", type=Path, help="text file with one class name a line")
    arguments.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    arguments.add_argument("--labels", type=Path, required=True, help="class names to write, one a line")
    add_planned(arguments, "checkpoint_sha256", "labels_from_sha256", "torchvision_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Obtain the weights, check that they fit the architecture, write them."""
    from safetensors.torch import save

    origin, state = obtain(arguments)
    model = build(arguments.architecture, arguments.arguments)
    if state is not None:
        load_strictly(model, state, arguments.checkpoint or arguments.weights)
    else:
        fill_zero_weights(model)
    count = count_classes(model, arguments.try_with)
    labels = class_names(arguments, count)
    with written_whole(arguments.output) as partial:
        partial.write_bytes(save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}))
    with written_whole(arguments.labels) as partial:
        partial.write_text("\n".join(labels) + "\n", encoding="utf-8")
    record = {
        "origin": origin,
        "key": settings_of(arguments),
        "sha256": sha256(arguments.output),
        "architecture": arguments.architecture,
        "arguments": arguments.arguments,
        "weights": arguments.weights,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "classes": count,
    }
    write_json(arguments.record, record)
    progress(f"  {origin} weights, {record['parameters'] / 1e6:.1f} M parameters, SHA-256 {record['sha256'][:12]}")


def obtain(arguments: argparse.Namespace) -> tuple[str, dict | None]:
    """Return the origin ("checkpoint", "torchvision" or "rehearsal") and the state dict; a rehearsal has none."""
    import torch

    if arguments.checkpoint:
        return "checkpoint", read_checkpoint(arguments.checkpoint)
    try:
        return "torchvision", download(arguments.architecture, arguments.weights)
    except OSError as error:  # urllib's URLError among them, which has no errno
        if error.errno in NOT_THE_NETWORK:
            raise SlipwayError(
                f"what is downloaded cannot be kept ({error}); free space there, or name a folder that can be written "
                "to as TORCH_HOME"
            ) from None
        if arguments.weights != "default":
            raise SlipwayError(
                f"the weights {arguments.weights} of {arguments.architecture} could not be downloaded ({error}). "
                "Either put `weights: path/to/checkpoint.pth` with a local copy into config.yaml, or `weights: "
                "default` to rehearse with random weights until the download can be reached"
            ) from None
        rehearsal_warning(error)
        torch.manual_seed(REHEARSAL_SEED)
        return "rehearsal", None


def download(architecture: str, name: str) -> dict:
    """Return the state dict of torchvision's weights, by their name or `default`.

    PyTorch keeps what it downloads for all checkouts; of two that want it at once, one downloads and the other waits.
    """
    import filelock
    import torch
    import torchvision

    if ":" in architecture:
        raise SlipwayError(f"torchvision has no weights for {architecture}; set `weights` to the path of a checkpoint")
    known = torchvision.models.get_model_weights(architecture)
    if name != "default" and name not in known.__members__:
        raise SlipwayError(
            f"torchvision has no weights {name} for {architecture}; it has {', '.join(known.__members__)} and default"
        )
    chosen = known.DEFAULT if name == "default" else known[name]
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)
    cache = Path(torch.hub.get_dir())
    cache.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(cache / "slipway.lock"):
        return chosen.get_state_dict(progress=False, check_hash=True)


def rehearsal_warning(reason: object) -> None:
    """Say loudly that what follows is a rehearsal."""
    rule = "!" * 100
    progress(
        f"{rule}\n!! REHEARSAL: the pretrained weights could not be downloaded ({reason}).\n"
        "!! Everything goes on with seeded RANDOM weights: speeds and sizes are real, predictions mean nothing.\n"
        "!! For the real ones set `weights` in config.yaml to a local checkpoint, or, once the download is reachable,\n"
        f"!! run: snakemake --cores 1 --forcerun fetch_weights deploy\n{rule}"
    )


def count_classes(model: "torch.nn.Module", pixels: int) -> int:
    """Return how many logits the model answers an input of (1, 3, pixels, pixels) with; SlipwayError if with none."""
    return logits_of(model, random_batch("float32", 1, pixels)).shape[1]


def class_names(arguments: argparse.Namespace, count: int) -> list[str]:
    """Return `count` class names: the user's, else those of torchvision's weights, else their indices.

    A single output may have two of the user's, the name of a no and the name of a yes.
    """
    if arguments.labels_from:
        names = read_labels(arguments.labels_from).names
        of_yes_and_no = count == 1 and len(names) == 2
        if len(names) != count and not of_yes_and_no:
            raise SlipwayError(
                f"{arguments.labels_from} names {len(names)} classes, but the model has {count}; write one name a "
                "line, or correct `arguments` (such as num_classes)"
            )
        return names
    if ":" not in arguments.architecture:
        import torchvision

        names = torchvision.models.get_model_weights(arguments.architecture).DEFAULT.meta["categories"]
        if len(names) == count:
            return names
    return [f"class {index}" for index in range(count)]


if __name__ == "__main__":
    run(main, parse_arguments())
