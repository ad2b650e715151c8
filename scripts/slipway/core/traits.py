"""Read the traits of a runtime or a platform: the constant `TRAITS` of a Python file, found by its path."""

from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from slipway.core.errors import SlipwayError


def read_traits(path: Path, name: str) -> Any:
    """Return the `TRAITS` of a file for `name`, without importing the package around it.

    Raises SlipwayError if a trait is missing or wrong.
    """
    loader = SourceFileLoader(f"traits_of_{name}", str(path))
    module = ModuleType(loader.name)
    try:
        loader.exec_module(module)
        traits = module.TRAITS
    except (AttributeError, TypeError, ValueError) as error:
        raise SlipwayError(f"{path} does not state the traits of {name}: {error}") from None
    if traits.name != name:
        raise SlipwayError(f"{path} states the name {traits.name!r}, but its place is that of {name!r}")
    return traits
