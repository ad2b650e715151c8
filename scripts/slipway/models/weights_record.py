"""The common options of fetch_weights.py and take_program.py, and the record that both write, weights.json.

Both programs convert the user's file of weights into the file that the later steps read. The record says from where the
weights are, and how the network is made.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.contract.contract import Tensors
from slipway.core.artifacts import sha256, write_json
from slipway.core.cli import parser, progress
from slipway.core.job_settings import add_planned, settings_of
from slipway.core.pytorch import torch


def weights_parser(description: str, output: str, *planned: str) -> tuple[argparse.ArgumentParser, Any]:
    """Return (parser of the common options, its exclusive group of --checkpoint and --address).

    A program can add another source of weights to the group. `description` and `output`, the help of --output, are
    texts for --help. `planned` are names of further options by which planning tells the job its versions, such as
    "torchvision_version".
    """
    arguments = parser(description, "samples", "record", output=output)
    place = arguments.add_mutually_exclusive_group(required=True)
    place.add_argument("--checkpoint", type=Path, help="a local file")
    place.add_argument("--address", help="a file in storage that fsspec knows, such as s3://bucket/best.pth")
    arguments.add_argument("--fingerprint", help="what the storage said of its content when the job was planned")
    arguments.add_argument("--samples-from", help="source of the samples in config.yaml, for messages")
    add_planned(arguments, "checkpoint_sha256", *planned)
    return arguments, place


def write_record(
    arguments: argparse.Namespace,
    origin: str,
    sample: Tensors,
    answer: Sequence[torch.Tensor],
    notes: list[str],
    /,
    **facts: object,
) -> dict:
    """Write weights.json, the record of the weights file `arguments.output`. Print `notes`, and return the record.

    `origin` is "checkpoint", "program", "rehearsal" (random weights) or the source's title. `sample` and `answer` are
    an input of the network, {input: array}, and its outputs. `notes` are sentences for the user. `facts` are further
    entries of the record, such as "architecture", or replace the default entries.
    """
    record = {
        "origin": origin,
        "key": settings_of(arguments),
        "sha256": sha256(arguments.output),
        "program": None,
        "largest_batch": None,
        "architecture": None,
        "arguments": {},
        "inputs": {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in sample.items()},
        "weights": None,
        "choice": None,
        "notes": notes,
        "classes": answer[0].shape[1] if len(answer) == 1 and answer[0].ndim == 2 else None,
        **facts,
    }
    write_json(arguments.record, record)
    for line in notes:
        progress(f"  {line}")
    return record
