"""Find the files of the user's code: the package of a function, and other modules of the user that it imports.

Nothing is imported. A module that the code imports by a computed name (`importlib.import_module`) is not found.
"""

import ast
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from importlib.util import resolve_name
from pathlib import Path, PurePosixPath

from slipway.core.user_modules import find_users_module


def files_of(spec: ModuleSpec) -> dict[str, Path]:
    """Return {short path: path} of all Python files of the package, or of the single module, that `spec` describes.

    A short path is relative to the folder that Python searches for the package, such as "nets/small.py".
    """
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if folders:
        return {_short(path, folder): path for folder in folders for path in folder.rglob("*.py")}
    return {Path(spec.origin).name: Path(spec.origin)} if spec.has_location and spec.origin else {}


def imports_in(tree: ast.AST) -> list[str]:
    """Return the names of the modules that a file may import, such as "nets.small" or, relative, "..small"."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.add(module)
            names.update(f"{module}{'.' * bool(node.module)}{alias.name}" for alias in node.names)
    return sorted(names)


def files_of_imports(short: str, names: Iterable[str], find: Callable[[str], ModuleSpec | None]) -> dict[str, Path]:
    """Return {short path: path} of the user's files that the imports in one of these files run.

    `short` is the short path of the importing file, as `files_of` returns it. `names` are the modules that it imports,
    as `imports_in` returns them. `find` is `own_module`, or a cache of it.
    """
    package = ".".join(PurePosixPath(short).parent.parts)
    files: dict[str, Path] = {}
    for name in names:
        try:
            files |= _files_of_module(resolve_name(name, package), find)
        except ImportError:  # a relative import that leaves its package fails in the job, too
            continue
    return files


def own_module(name: str) -> ModuleSpec | None:
    """Return the import spec of a top-level module of the user; None for modules that are not the user's code.

    These are modules of Python, modules that pip installed (except as editable), and modules that do not exist.
    """
    spec = None if name in sys.stdlib_module_names else find_users_module(name)
    places = (spec.submodule_search_locations or [spec.origin or ""]) if spec else []
    # pip describes what it installs beside it.
    return None if any(_is_described(Path(place)) for place in places) else spec


def _is_described(path: Path) -> bool:
    return any(path.parent.glob("*.dist-info"))


def _files_of_module(name: str, find: Callable[[str], ModuleSpec | None]) -> dict[str, Path]:
    """Return {short path: path} of a module and of the packages around it; {} if they are not the user's own.

    `find` is `own_module`, or a cache of it.
    """
    top, *parts = name.split(".")
    spec = find(top)
    if spec is None or not spec.submodule_search_locations:
        return files_of(spec) if spec else {}
    packages = [PurePosixPath(*parts[:depth], "__init__.py") for depth in range(len(parts) + 1)]
    candidates = [*packages, PurePosixPath(*parts).with_suffix(".py")] if parts else packages
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    paths = {folder / candidate: folder for folder in folders for candidate in candidates}
    return {_short(path, folder): path for path, folder in paths.items() if path.is_file()}


def _short(path: Path, folder: Path) -> str:
    return path.relative_to(folder.parent).as_posix()
