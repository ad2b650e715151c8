"""Programs: files that contain their network. Each kind of program has a module here, with two functions.

`take(path, output, samples)` reads a user's file, writes it to `output` for the later steps, and returns sentences for
the user about the file. `samples` are inputs of the network, {input: array} each. `take` raises SlipwayError if the
file is damaged or of another kind. `load(path)` returns the network in a file that `take` wrote, in eval mode on the
CPU.
"""

import importlib
from typing import Any


def program(kind: str) -> Any:
    """Return the module of a kind of program, a key of `keys.weights_files.PROGRAMS`, such as "onnx_file".

    The module is imported by name, so only its code, not that of other kinds, decides whether a model is made again.
    """
    return importlib.import_module(f"{__name__}.{kind}")
