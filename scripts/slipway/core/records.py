"""Read Slipway's own JSON records, the files that jobs write about their results.

A damaged record counts as a missing record. If a program finds no record, it makes a new one, and `atomic_write`
replaces the damaged file. So one run repairs the damage.
"""

import json
from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError

# The shape of a JSON value: a type, a tuple of allowed types, [shape of each item], {required name: shape of its
# value}, or, for a mapping with any names, {str: shape of each value}.
Shape = type | tuple | list | dict
NUMBER = (int, float)


def read_record(path: str | Path, shape: Shape) -> Any:
    """Return the content of a JSON record; None if the file is missing, is not JSON, or does not match `shape`.

    `shape` states the types and required names, such as {"version": str, "ports": [int]} (see Shape).
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if has_shape(content, shape) else None


def require_record(path: str | Path, shape: Shape, what_to_do: str) -> Any:
    """Return the content of a JSON record.

    Raises SlipwayError with the remedy `what_to_do` if the file is missing, is not JSON, or does not match `shape` (see
    Shape).
    """
    content = read_record(path, shape)
    if content is None:
        raise SlipwayError(f"{path} is missing or damaged; {what_to_do}")
    return content


def has_shape(value: object, shape: Shape) -> bool:
    """Return whether a JSON value has the types and names that `shape` states (see Shape).

    A mapping may also have entries that the shape does not name.
    """
    if isinstance(shape, dict):
        return isinstance(value, dict) and _entries_have_shape(value, shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(has_shape(entry, shape[0]) for entry in value)
    if isinstance(shape, tuple):
        return any(has_shape(value, alternative) for alternative in shape)
    # In Python, JSON's true would count as an int.
    return isinstance(value, shape) and (shape is not int or not isinstance(value, bool))


def _entries_have_shape(value: dict, shape: dict) -> bool:
    if str in shape:
        return all(has_shape(entry, shape[str]) for entry in value.values())
    return all(name in value and has_shape(value[name], of_entry) for name, of_entry in shape.items())
