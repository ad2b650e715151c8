"""Requests and answers in NumPy archives (.npz).

An archive has one request, with an array for each input, or several, whose arrays are named "<number>/<input>".
"""

import re
from collections.abc import Mapping
from pathlib import Path

from slipway.contract.archives import DAMAGED, read_arrays, write_arrays
from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError

# The key of the only request of an archive.
ONLY = ""
_NUMBERED = re.compile(r"(\d+)/(.+)")


def read_requests(path: Path) -> dict[str, Tensors]:
    """Return {number: request} of an archive, or {ONLY: its only request}. Raise SlipwayError if there are none."""
    try:
        arrays = read_arrays(path)
    except FileNotFoundError:
        raise SlipwayError(f"{path} does not exist; correct the path") from None
    except DAMAGED as error:
        raise SlipwayError(f"{path} is no archive of NumPy arrays ({error}); write it with numpy.savez") from None
    if not arrays:
        raise SlipwayError(f"{path} has no arrays; write one for each input with numpy.savez")
    numbered = [match for name in arrays if (match := _NUMBERED.fullmatch(name))]
    if len(numbered) < len(arrays):
        return {ONLY: arrays}
    requests: dict[str, Tensors] = {}
    for match in numbered:
        requests.setdefault(match[1], {})[match[2]] = arrays[match[0]]
    return requests


def require_writable(path: Path, source: Path) -> None:
    """Raise SlipwayError if answers cannot be written to `path`, or would replace the requests of `source`."""
    if path.is_dir() or not path.parent.is_dir():
        raise SlipwayError(f"--output {path} cannot be written: name a file in a folder that exists")
    if path.exists() and path.samefile(source):
        raise SlipwayError(f"--output {path} has the inputs; name another file")


def write_answers(path: Path, answers: Mapping[str, Tensors]) -> None:
    """Write the answers to requests of `read_requests` under the same numbers, completely or not at all."""
    arrays = {
        f"{number}/{name}" if number != ONLY else name: array
        for number, outputs in answers.items()
        for name, array in outputs.items()
    }
    write_arrays(path, arrays)
