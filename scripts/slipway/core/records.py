"""Read the records that Slipway wrote for itself: a damaged record counts as a missing one.

A program that finds no record makes it anew, and `written_whole` replaces anything in its place. So a damaged record
lasts for one run at most.
"""

import json
from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError

# The shape of a record: a type, several types, [shape of each item], {required name: shape}, or {str: shape of each
# value} for free names.
Shape = type | tuple | list | dict
NUMBER = (int, float)


def read_record(path: str | Path, shape: Shape) -> Any:
    """Return the content of a JSON record; None if it is missing or damaged, that is, has another shape."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if has_shape(found, shape) else None


def require_record(path: str | Path, shape: Shape, what_to_do: str) -> Any:
    """Return the content of a JSON record; raise SlipwayError with its name and `what_to_do` if it is damaged."""
    found = read_record(path, shape)
    if found is None:
        raise SlipwayError(f"{path} is missing or damaged; {what_to_do}")
    return found


def is_damaged(path: str | Path, shape: Shape) -> bool:
    """Say whether `path` exists and is no record of this shape."""
    return Path(path).exists() and read_record(path, shape) is None


def has_shape(value: object, shape: Shape) -> bool:
    """Say whether a JSON value has a shape; further entries do not matter."""
    match shape:
        case {}:
            return isinstance(value, dict) and _has_entries(value, shape)
        case [item]:
            return isinstance(value, list) and all(has_shape(each, item) for each in value)
        case tuple():
            return any(has_shape(value, each) for each in shape)
    # In Python, JSON's true would count as an int.
    return isinstance(value, shape) and (shape is not int or not isinstance(value, bool))


def _has_entries(value: dict, shape: dict) -> bool:
    if str in shape:
        return all(has_shape(each, shape[str]) for each in value.values())
    return all(name in value and has_shape(value[name], each) for name, each in shape.items())
