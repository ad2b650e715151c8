"""TensorRT as a Python module, whichever release and edition it is, and what it says while it works."""

import functools
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from . import explain

EDITIONS = {".rtx": "tensorrt_rtx"}
# What TensorRT 8.5 says whenever it looks up a tensor by its name in any optimization profile but the first, and so in
# every run that is no CUDA graph: a server's log would hold little else, and a time that is taken the printing.
_OF_NO_USE = "ICudaEngine::getProfileDimensions: bindingIndex"


def edition_of(path: str | Path) -> str:
    """Return the module that builds and runs the engine at `path`, which its suffix tells."""
    return EDITIONS.get(Path(path).suffix, "tensorrt")


def import_library(name: str) -> ModuleType:
    """Return `tensorrt` or `tensorrt_rtx`; raise ValueError with the way out when it is not to be had."""
    # Whether engines multiply in TF32 is a setting that they are keyed on, not one of whoever's shell builds them.
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise ValueError(
            f"{sys.executable} has no usable {name} ({error}); install it there, or name the interpreter that has it "
            "as `tensorrt.python` in config.yaml"
        ) from None


def builds_without_gpu(trt: ModuleType) -> bool:
    """Say whether a module is TensorRT for RTX, which builds for a GPU that need not be there and so loads nothing."""
    return trt.__name__ == EDITIONS[".rtx"]


def runtime_of(trt: ModuleType, log: Any) -> Any:
    """Return a runtime that loads whatever is built here; raise ValueError where TensorRT does not start."""
    # The parser registers TensorRT's plugins by itself, and an engine with one loads only where they are registered.
    if hasattr(trt, "init_libnvinfer_plugins"):
        trt.init_libnvinfer_plugins(log, "")
    try:
        runtime = trt.Runtime(log)
    except (TypeError, RuntimeError):  # how the library's binding says that there is none
        raise ValueError(explain.no_start(trt, log)) from None
    # A version-compatible engine brings code, its own small runtime, which is refused unless that is allowed.
    if hasattr(runtime, "engine_host_code_allowed"):
        runtime.engine_host_code_allowed = True
    return runtime


def logger(trt: ModuleType) -> Any:
    """Return the process's TensorRT logger, which prints what is of use and keeps warnings and errors from now on.

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
            if message.startswith(_OF_NO_USE):
                return
            if severity in (levels.INTERNAL_ERROR, levels.ERROR):
                self.errors.append(message)
            elif severity == levels.WARNING:
                self.warnings.append(message)
            if severity != levels.VERBOSE:
                print(f"TensorRT: {message}", file=sys.stderr)

    return Keeping()
