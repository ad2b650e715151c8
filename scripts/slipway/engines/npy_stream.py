"""Arrays through a pipe, in NumPy's own format, which NumPy alone writes only to files and reads only from them."""

from types import SimpleNamespace
from typing import BinaryIO

import numpy as np


def write_array(pipe: BinaryIO, array: np.ndarray) -> None:
    """Write an array of any shape and dtype but object."""
    # Given a real stream, NumPy asks for its position, which a pipe has not.
    np.lib.format.write_array(SimpleNamespace(write=pipe.write), np.ascontiguousarray(array), allow_pickle=False)


def read_array(pipe: BinaryIO) -> np.ndarray:
    """Read one array and not a byte more; raise ValueError when the pipe ends before it does."""
    return np.lib.format.read_array(SimpleNamespace(read=pipe.read), allow_pickle=False)
