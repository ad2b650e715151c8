"""Reading back what Slipway wrote down for itself: a record is whole, or as good as absent.

Whoever finds it absent makes it anew, and `written_whole` replaces whatever lies in its place, so a damaged record is
in nobody's way for longer than one run.
"""

import json
from pathlib import Path
from typing import Any

from slipway.errors import SlipwayError

# The shape of a record: a type, several types, [shape of each item], {name that must be there: shape}, or
# {str: shape of each value} where the names are free.
Shape = type | tuple | list | dict
NUMBER = (int, float)


def read_record(path: str | Path, shape: Shape) -> Any:
    """Return what a JSON record holds, or None where there is none or it is damaged, that is, has another shape."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if has_shape(found, shape) else None


def require_record(path: str | Path, shape: Shape, what_to_do: str) -> Any:
    """Return what a JSON record holds; raise SlipwayError that names it and says what to do when it is damaged."""
    found = read_record(path, shape)
    if found is None:
        raise SlipwayError(f"{path} is missing or damaged; {what_to_do}")
    return found


def is_damaged(path: str | Path, shape: Shape) -> bool:
    """Say whether something lies at `path` that is no record of this shape."""
    return Path(path).exists() and read_record(path, shape) is None


def has_shape(value: object, shape: Shape) -> bool:
    """Say whether what JSON holds has a shape; what is there beyond it does not matter."""
    match shape:
        case {}:
            return isinstance(value, dict) and _has_entries(value, shape)
        case [item]:
            return isinstance(value, list) and all(has_shape(each, item) for each in value)
        case tuple():
            return any(has_shape(value, each) for each in shape)
    # JSON's true is an int to Python, and no number to anybody else.
    return isinstance(value, shape) and (shape is not int or not isinstance(value, bool))


def _has_entries(value: dict, shape: dict) -> bool:
    if str in shape:
        return all(has_shape(each, shape[str]) for each in value.values())
    return all(name in value and has_shape(value[name], each) for name, each in shape.items())
