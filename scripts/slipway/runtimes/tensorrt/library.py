"""TensorRT as a Python module, whichever release and edition it is, and what it says while it works."""

import functools
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

EDITIONS = {".rtx": "tensorrt_rtx"}


def edition_of(path: str | Path) -> str:
    """Return the module that builds and runs the engine at `path`, which its suffix tells."""
    return EDITIONS.get(Path(path).suffix, "tensorrt")


def import_library(name: str) -> ModuleType:
    """Return `tensorrt` or `tensorrt_rtx`; raise ValueError with the way out when it is not to be had."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise ValueError(
            f"{sys.executable} has no usable {name} ({error}); install it there, or name the interpreter that has it "
            "as `tensorrt.python` in config.yaml"
        ) from None


def logger(trt: ModuleType) -> Any:
    """Return the process's TensorRT logger, which prints everything and keeps warnings and errors from now on.

    Its `errors` and `warnings` are lists of text, in order. There is one, since TensorRT takes no second.
    """
    found = _the_logger(trt)
    found.errors.clear()
    found.warnings.clear()
    return found


@functools.cache
def _the_logger(trt: ModuleType) -> Any:

    class Keeping(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            levels = trt.ILogger.Severity
            if severity in (levels.INTERNAL_ERROR, levels.ERROR):
                self.errors.append(message)
            elif severity == levels.WARNING:
                self.warnings.append(message)
            if severity != levels.VERBOSE:
                print(f"TensorRT: {message}", file=sys.stderr)

    return Keeping()
