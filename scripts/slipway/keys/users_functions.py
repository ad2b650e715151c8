"""Refuse a "package.module:name" that does not exist, before any job runs. Sources are read, and nothing is imported.

If only a run of the module can tell its names, nothing is refused here, and the job finds a mistake. Examples are
`import *`, `__getattr__` and compiled modules.
"""

import ast
import difflib
import pkgutil
import re
import symtable
import tokenize
from collections.abc import Collection
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.user_modules import find_users_module

# Functions that may give a module further names.
_NAMING = {"globals", "locals", "vars", "exec", "eval", "setattr"}
# Parts of Python with which code may replace modules, or let them be found elsewhere.
_REPLACING = re.compile(r"sys\.modules|__path__|__dict__|meta_path|path_hooks|import_module|__import__")


@dataclass(frozen=True)
class _Module:
    """A module of the user that was found, but not imported.

    `place` is its file or folder, for messages. `text` is its source code: "" for a namespace package, None for
    compiled code. `folders` have its submodules.
    """

    place: str
    text: str | None
    folders: list[str]

    @property
    def is_plain(self) -> bool:
        """Return whether the source code is known, and has no code that may replace modules, such as `sys.modules`.

        If not, only a run of the code can tell the names in the module.
        """
        return self.text is not None and not _REPLACING.search(self.text)


def require_function(key: str, reference: str) -> None:
    """Raise SlipwayError if the package, the module or the name in `reference`, "package.module:name", does not exist.

    `key` is the dotted key of the setting in config.yaml, for the message. In "package.module:Class.name", only Class
    is checked.
    """
    module, _, name = reference.partition(":")
    package, *parts = module.split(".")
    name, problem = name.partition(".")[0], f"config: `{key}` is {reference}, but"
    spec = find_users_module(package)
    if spec is None:
        raise SlipwayError(
            f"config: `{key}` is {reference}, but Python finds no package {package}; if it is in this folder: export "
            "PYTHONPATH=. (else install it here, or name its folder in PYTHONPATH)"
        )
    modules = [_module(spec)]
    for part in parts:
        if not modules[-1].is_plain:
            return
        below = _submodule(modules[-1], part)
        if below is None:
            raise SlipwayError(
                f"{problem} {modules[-1].place} has no module {part}; {_advice(part, _submodules(modules[-1]))}"
            )
        modules.append(below)
    *parents, last = modules
    names = _names(last) if last.is_plain else None
    # A parent package may give a name to its module, too.
    if names is None or name in names or any(re.search(rf"\b{name}\b", parent.text or "") for parent in parents):
        return
    raise SlipwayError(f"{problem} {last.place} has no {name}; {_advice(name, names)}")


def _module(spec: ModuleSpec) -> _Module:
    folders = list(spec.submodule_search_locations or ())
    if spec.origin is None and folders:
        return _Module(folders[0], "", folders)
    return _Module(spec.origin or "", _text(spec.origin or ""), folders)


def _text(file: str) -> str | None:
    if not file.endswith(".py"):
        return None
    try:
        with tokenize.open(file) as source:
            return source.read()
    except (OSError, SyntaxError, ValueError):
        return None


def _submodule(module: _Module, name: str) -> _Module | None:
    finders = filter(None, map(pkgutil.get_importer, module.folders))
    specs = [spec for finder in finders if (spec := finder.find_spec(name))]
    for spec in specs:
        if spec.loader:
            return _module(spec)
    folders = [folder for spec in specs for folder in spec.submodule_search_locations or ()]
    return _Module(folders[0], "", folders) if folders else None


def _submodules(module: _Module) -> set[str]:
    """Return the names of the submodules of a package; of any other module the empty set."""
    nested = {path.name for folder in module.folders for path in Path(folder).glob("*") if path.is_dir()}
    return nested | {found.name for found in pkgutil.iter_modules(module.folders)}


def _names(module: _Module) -> set[str] | None:
    """Return the names that the source code of a module gives it, and its submodules; None if only a run can tell."""
    text = module.text or ""
    try:
        nodes = list(ast.walk(ast.parse(text)))
        symbols = symtable.symtable(text, module.place, "exec").get_symbols()
    except (SyntaxError, ValueError, RecursionError):
        return None
    names = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    names |= {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    names |= {node.target.id for node in nodes if isinstance(node, ast.NamedExpr)}
    is_starred = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes)
    called = {node.id for node in nodes if isinstance(node, ast.Name)}
    return None if is_starred or "__getattr__" in names or called & _NAMING else names | _submodules(module)


def _advice(word: str, names: Collection[str]) -> str:
    public = sorted(name for name in names if not name.startswith("_"))
    near = difflib.get_close_matches(word, public)
    return f"did you mean {' or '.join(near)}?" if near else "correct it in config.yaml"
