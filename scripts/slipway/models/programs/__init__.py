"""Programs, which are files with a network inside: a module for each kind, with two functions.

`take(path, output, samples)` writes a program in the form that later steps take, and returns sentences about it.
`samples` are inputs as the network itself takes them. `take` raises SlipwayError if the file is damaged or of another
kind. `load(path)` returns a program that was taken, as a network in eval mode on the CPU.
"""

import importlib
from typing import Any


def program(kind: str) -> Any:
    """Return the module of a kind of program, a key of `keys.weights_files.PROGRAMS`.

    The module is imported by name, so a model's key has only the code of this kind.
    """
    return importlib.import_module(f"{__name__}.{kind}")
