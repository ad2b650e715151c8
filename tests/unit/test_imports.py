"""The modules of Slipway import each other in one direction."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from slipway.keys.code_hash import SCRIPTS


def modules_below(folder):
    """Return {module name: path} of the modules and packages of `slipway` in a folder."""
    paths = {path.relative_to(folder).with_suffix(""): path for path in (folder / "slipway").rglob("*.py")}
    return {".".join(name.parts).removesuffix(".__init__"): path for name, path in paths.items()}


def imported_by(name, path, known):
    """Yield the modules that a module imports anywhere: at its top, in a function, or for types alone."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            around = ".".join(package.split(".")[: 1 - node.level or None]) if node.level else ""
            module = ".".join(part for part in (around, node.module) if part)
            for alias in node.names:
                # `from package import module` needs the module, else the package's own names.
                inner = f"{module}.{alias.name}"
                yield from (each for each in [inner if inner in known else module] if each in known)


def circle(folder):
    """Return the first circle of imports, as module names; none is an empty list."""
    known = modules_below(folder)
    assert known
    imports = {name: set(imported_by(name, path, known)) - {name} for name, path in known.items()}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_modules_import_each_other_in_a_circle():
    assert circle(SCRIPTS) == []


@pytest.mark.parametrize(
    "import_back",
    [
        "from slipway.engines import builder",
        "from slipway.engines.builder import build",
        "import slipway.engines.builder",
        "from .builder import build",
        "from ..engines.builder import build",
        "def run():\n    from slipway.engines import builder",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from slipway.engines.builder import Builder",
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(import_back, tmp_path):
    package = tmp_path / "slipway" / "engines"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("", encoding="utf-8")
    (package / "builder.py").write_text("from slipway.engines import runner\n", encoding="utf-8")
    (package / "runner.py").write_text("import json\n", encoding="utf-8")
    assert circle(tmp_path) == []
    (package / "runner.py").write_text(import_back, encoding="utf-8")
    assert set(circle(tmp_path)) == {"slipway.engines.builder", "slipway.engines.runner"}
