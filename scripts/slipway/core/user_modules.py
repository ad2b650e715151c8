"""Import the user's own modules, even if Slipway has a module of the same name (`predict`, `deploy`)."""

import importlib
import operator
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[2]
# Loaded modules of the user with the same names as the workflow's. Only `users_modules_first` makes them importable.
_hidden: dict[str, ModuleType] = {}


def find_users_module(name: str) -> ModuleSpec | None:
    """Return the import spec of the user's top-level module `name`; None if there is none. Imports nothing."""
    before = list(sys.path)
    sys.path[:] = [folder for folder in sys.path if not _is_scripts(folder)]
    importlib.invalidate_caches()
    try:
        return next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, None))), None)
    finally:
        sys.path[:] = before


@contextmanager
def users_modules_first() -> Iterator[None]:
    """Context manager: in the block, imports find the user's modules before modules of scripts/ with the same name.

    The folder scripts/ is moved to the end of sys.path. It is not removed, because some functions of Slipway import
    modules of scripts/ only when they are called.
    """
    sys.path.sort(key=_is_scripts)
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if name != "__main__"}
    ours = {name: sys.modules[name] for name, file in files.items() if file and Path(file).is_relative_to(SCRIPTS)}
    shadowed = {top for top in {_top(name) for name in ours} if find_users_module(top)}
    for name in ours:
        if _top(name) in shadowed:
            del sys.modules[name]
    sys.modules.update(_hidden)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _top(name) in shadowed]:
            _hidden[name] = sys.modules.pop(name)
        sys.modules.update(ours)


def import_users(reference: str) -> Any:
    """Return the object in the user's code that `reference`, such as "package.module:name", names.

    A method or attribute of a class is written "package.module:Class.name". Call this function only within
    `users_modules_first`. Raises ModuleNotFoundError if only scripts/ has such a module. Exceptions of the user's
    module are not caught.
    """
    module, _, name = reference.partition(":")
    if find_users_module(_top(module)) is None:
        raise ModuleNotFoundError(f"No module named {_top(module)!r}")
    return operator.attrgetter(name)(importlib.import_module(module))


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_scripts(folder: str) -> bool:
    return bool(folder) and Path(folder).resolve() == SCRIPTS
