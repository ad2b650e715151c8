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


def runtime_files(module: str) -> list[str]:
    """Return the files of a runtime's module or package, which programs import by name, sorted."""
    path = SCRIPTS / "slipway" / "runtimes" / module
    files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [os.path.relpath(file) for file in files]


def adapter_file() -> str:
    """Return the Python backend's model.py, which programs copy but never import."""
    return os.path.relpath(SCRIPTS / "slipway" / "triton" / "adapter.py")


def worker_file() -> str:
    """Return the program that runs TensorRT's engines for others, which start it by its path."""
    return os.path.relpath(SCRIPTS / "tensorrt_worker.py")


@cache
def _imports(path: Path) -> list[Path]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            modules.add(module)
            modules.update(f"{module}.{alias.name}" for alias in node.names)
    return [file for module in modules if module.split(".")[0] == "slipway" for file in _files(module)]


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    """Return the full name of the module in `from module import`; dots in front count from the file's package."""
    if not node.level:
        return node.module or ""
    package = path.resolve().relative_to(SCRIPTS).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _files(module: str) -> list[Path]:
    """Return the files that `import module` runs: the module and the packages around it."""
    parts = module.split(".")
    candidates = [SCRIPTS.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    candidates.append(SCRIPTS.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]
