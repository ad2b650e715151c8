"""Programs, which are files with a network inside: a module for each kind, with two functions.

    take(path, output, samples)     write the program in the form that later steps take; return sentences about it
    load(path)                      the network of a program that was taken

A module is imported by name, so a model's key has only the code of this kind.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.contract.contract import Tensors

if TYPE_CHECKING:
    import torch


def take_program(kind: str, path: Path, output: Path, samples: Sequence[Tensors]) -> list[str]:
    """Write a program to `output`, and return sentences about it. `kind` is a key of `keys.weights_files.PROGRAMS`.

    `samples` are inputs as the network itself takes them. Raises SlipwayError if the file is damaged or of another
    kind.
    """
    return _module(kind).take(path, output, samples)


def load_program(path: str | Path, kind: str) -> "torch.nn.Module":
    """Return a program that was taken, as a network in eval mode on the CPU."""
    return _module(kind).load(Path(path))


def _module(kind: str) -> Any:
    return importlib.import_module(f"{__name__}.{kind}")
