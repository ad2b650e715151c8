"""Requests and answers in NumPy archives (.npz).

An archive with one request has an array for each input. In an archive with several requests, the arrays are named
"<number>/<input>".
"""

import re
from collections.abc import Mapping
from pathlib import Path

from slipway.contract.archives import DAMAGED, read_arrays, write_arrays
from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError

# The number in place of a missing one, if an archive has only one request.
ONLY = ""
_NUMBERED = re.compile(r"(\d+)/(.+)")


def read_requests(path: Path) -> dict[str, Tensors]:
    """Return the requests in an .npz archive as {number of the request: {input: array}}.

    The numbers are text, as in the names "<number>/<input>". Without such names, the archive has a single request, and
    its key is ONLY.

    Raises SlipwayError if the archive is missing or damaged, or has no arrays.
    """
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
    """Raise SlipwayError if answers cannot be written to `path`, or if `path` is `source`, the file of the requests."""
    if path.is_dir() or not path.parent.is_dir():
        raise SlipwayError(f"--output {path} cannot be written: name a file in a folder that exists")
    if path.exists() and path.samefile(source):
        raise SlipwayError(f"--output {path} has the inputs; name another file")


def write_answers(path: Path, answers: Mapping[str, Tensors]) -> None:
    """Write the answers to requests into an .npz archive, completely or not at all.

    `answers` is {number of the request: {output: array}}, with the numbers that `read_requests` returned.
    """
    arrays = {
        f"{number}/{name}" if number != ONLY else name: array
        for number, outputs in answers.items()
        for name, array in outputs.items()
    }
    write_arrays(path, arrays)
