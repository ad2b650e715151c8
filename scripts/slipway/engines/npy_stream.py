"""Read and write arrays through a pipe in NumPy's own format. NumPy itself supports only files."""

from types import SimpleNamespace
from typing import BinaryIO

import numpy as np


def write_array(pipe: BinaryIO, array: np.ndarray) -> None:
    """Write an array of any shape and any dtype except object."""
    # NumPy would ask a real stream for its position, and a pipe has none.
    np.lib.format.write_array(SimpleNamespace(write=pipe.write), np.ascontiguousarray(array), allow_pickle=False)


def read_array(pipe: BinaryIO) -> np.ndarray:
    """Read exactly one array. Raise ValueError if the pipe ends within it."""
    return np.lib.format.read_array(SimpleNamespace(read=pipe.read), allow_pickle=False)
