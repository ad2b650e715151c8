"""Which files a program is made of, so that Snakemake reruns a job exactly when its code changes."""

import ast
import os
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]


@cache
def program_files(name: str) -> list[str]:
    """Return scripts/<name>.py and every file of `slipway` that it imports, directly or through another.

    The program comes first, the rest is sorted. Imports are read from the syntax tree, nothing is executed. Paths are
    relative to the working directory, so that a clone that moves keeps its inputs.
    """
    program = SCRIPTS / f"{name}.py"
    found: set[Path] = set()
    pending = [program]
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending.extend(_imports(path))
    return [os.path.relpath(path) for path in (program, *sorted(found - {program}))]


def runtime_file(name: str) -> str:
    """Return the module of a runtime, which programs import by name."""
    return os.path.relpath(SCRIPTS / "slipway" / "runtimes" / f"{name}.py")


def adapter_file() -> str:
    """Return the Python backend's model.py, which programs copy but never import."""
    return os.path.relpath(SCRIPTS / "slipway" / "triton" / "adapter.py")


@cache
def _imports(path: Path) -> list[Path]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    return [file for module in modules if module.split(".")[0] == "slipway" for file in _files(module)]


def _files(module: str) -> list[Path]:
    """Return the files that `import module` runs: the module and the packages around it."""
    parts = module.split(".")
    candidates = [SCRIPTS.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    candidates.append(SCRIPTS.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]
