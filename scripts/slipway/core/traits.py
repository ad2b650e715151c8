"""Read the traits file of a runtime or a platform: a JSON file with the facts that Slipway needs about it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from slipway.core.errors import SlipwayError

Traits = TypeVar("Traits")


def read_traits(path: Path, name: str, kind: Callable[..., Traits]) -> Traits:
    """Return the traits in the JSON file `path` as an object of the dataclass `kind`. Lists become tuples.

    `name` is the name of the runtime or platform, a field of the object. Raises SlipwayError if a trait is missing or
    wrong.
    """
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        traits = {trait: tuple(value) if isinstance(value, list) else value for trait, value in stated.items()}
        return kind(**traits, name=name)
    except (AttributeError, TypeError, ValueError) as error:
        raise SlipwayError(f"{path} does not state the traits of {name}: {error}") from None
