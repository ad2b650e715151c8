"""Import TensorRT as a Python module, in any release and edition, and collect its log messages."""

import functools
import importlib
import os
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from . import explain

EDITIONS = {".rtx": "tensorrt_rtx"}
# TensorRT 8.5 logs this for each lookup of a tensor's name in an optimization profile other than the first, and so in
# every run without a CUDA graph. It would flood a server's log, and its printing would distort measured times.
_OF_NO_USE = "ICudaEngine::getProfileDimensions: bindingIndex"


def edition_of(path: str | Path) -> str:
    """Return the name of the Python module that builds and runs an engine, by the suffix of its `path`.

    It is "tensorrt_rtx" for .rtx, and "tensorrt" for every other suffix.
    """
    return EDITIONS.get(Path(path).suffix, "tensorrt")


def import_library(name: str) -> ModuleType:
    """Return the module `tensorrt` or `tensorrt_rtx`. Raise ValueError with a remedy if the import fails."""
    # TF32 is a setting in an engine's key, so the environment must not change it.
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise ValueError(
            f"{sys.executable} has no usable {name} ({error}); install it there, or name the interpreter that has it "
            "as `tensorrt.python` in config.yaml"
        ) from None


def builds_without_gpu(trt: ModuleType) -> bool:
    """Return whether a module is TensorRT for RTX, which can build for a GPU that is not in this machine."""
    return trt.__name__ == EDITIONS[".rtx"]


def started(trt: ModuleType, kind: Any, log: Any) -> Any:
    """Return a Builder or Runtime (`kind`) of TensorRT. Raise ValueError if TensorRT does not start."""
    try:
        return kind(log)
    except (TypeError, RuntimeError):  # the binding's errors if TensorRT does not start
        raise ValueError(explain.no_start(trt, log)) from None


def load(trt: ModuleType, log: Any, plan: bytes, path: str | Path) -> tuple[Any, Any]:
    """Load a plan, a serialized engine. Return (TensorRT's runtime, the engine); the engine needs the runtime.

    TensorRT's plugins are registered first, and the code in version-compatible plans is allowed, so that every plan
    that Slipway builds can be loaded. Raises ValueError, with the engine's `path`, if the plan cannot be loaded.
    """
    # The parser registers TensorRT's plugins itself. For an engine with a plugin, the plugins must be registered here.
    if hasattr(trt, "init_libnvinfer_plugins"):
        trt.init_libnvinfer_plugins(log, "")
    runtime = started(trt, trt.Runtime, log)
    # A version-compatible engine contains code (a small runtime), which is refused by default.
    if hasattr(runtime, "engine_host_code_allowed"):
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise ValueError(explain.load_failure(trt, path, log.errors))
    return runtime, engine


def facts_of_work(trt: ModuleType, log: Any, path: str | Path) -> dict:
    """Return {"warnings": number of TensorRT's warnings, "versions": {name: version}} for the build record.

    The versions are those of Python and of the TensorRT edition that built or refitted the engine at `path`.
    """
    return {
        "warnings": len(log.warnings),
        "versions": {edition_of(path): trt.__version__, "python": platform.python_version()},
    }


def logger(trt: ModuleType) -> Any:
    """Return TensorRT's logger, which collects messages in its lists `errors` and `warnings`. Both are emptied here.

    The lists have texts, in order. A process has only one logger, because TensorRT accepts no second one. It also
    prints all messages to standard error, except verbose ones and one that is of no use.
    """
    cleared = _the_logger(trt)
    cleared.errors.clear()
    cleared.warnings.clear()
    return cleared


@functools.cache
def _the_logger(trt: ModuleType) -> Any:
    base: Any = trt.ILogger

    class Keeping(base):
        def __init__(self) -> None:
            base.__init__(self)
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
