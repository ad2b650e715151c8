"""TensorRT 8.5 to 11 and TensorRT for RTX: one package for all, because they share one name-based API.

It needs only Python 3.10, NumPy, the library itself and PyCUDA or cuda-bindings, and imports only itself: it runs in
the interpreter that has TensorRT, and is copied into a Triton model repository. An engine's suffix shows its edition:
.rtx is TensorRT for RTX; .trt (results) and .plan (Triton) are TensorRT.
"""

from pathlib import Path
from typing import Any


def engine_files(path: str | Path) -> list[Path]:
    """Return the only file of an engine."""
    return [Path(path)]


def build(onnx: str | Path, path: str | Path, precision: str, options: dict) -> dict:
    """Build the engine at `path`. Return the facts for its record. See builder.build."""
    from .builder import build

    return build(onnx, path, precision, options)


def refit(onnx: str | Path, engine: str | Path, path: str | Path) -> dict:
    """Write the engine of the file `engine` with the weights of an ONNX file to `path`. See refitting.refit."""
    from .refitting import refit

    return refit(onnx, engine, path)


def trial(previous: str | Path, new: str | Path, precision: str, images: Any) -> dict:
    """Return a new engine's outputs, and its speed relative to the engine that it replaces. See comparing.trial."""
    from .comparing import trial

    return trial(previous, new, precision, images)


def gpu_here() -> str:
    """Return this machine's GPU in one line. Raise ValueError if there is none."""
    from .device import gpu_here

    return gpu_here()


def Engine(path: str | Path, precision: str, threads: int = 0) -> Any:
    """Return the engine at `path`, loaded on the GPU. See runner.Engine."""
    from .runner import Engine

    return Engine(path, precision, threads)
