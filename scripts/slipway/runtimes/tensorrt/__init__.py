"""TensorRT 8.5 to 11 and TensorRT for RTX: one package, since one name-based API serves them all.

It needs Python 3.10, NumPy, the library itself and PyCUDA or cuda-bindings, nothing else, and imports only itself: it
runs under the interpreter that has TensorRT, and travels into a Triton model repository. An engine's suffix says whose
it is: .rtx is TensorRT for RTX's, .trt (results) and .plan (Triton) are TensorRT's.
"""

from pathlib import Path
from typing import Any


def engine_files(path: str | Path) -> list[Path]:
    """Return the engine's one file."""
    return [Path(path)]


def build(onnx: str | Path, path: str | Path, precision: str, options: dict) -> dict:
    """Build the engine at `path`; return what its record says of it. See builder.build."""
    from .builder import build

    return build(onnx, path, precision, options)


def refit(onnx: str | Path, engine: str | Path, path: str | Path) -> dict:
    """Write the engine of the file `engine` with the weights of an ONNX file to `path`. See refitting.refit."""
    from .refitting import refit

    return refit(onnx, engine, path)


def trial(previous: str | Path, new: str | Path, precision: str, images: Any) -> dict:
    """Return a new engine's answers, and its speed beside that of the engine it would replace. See comparing.trial."""
    from .comparing import trial

    return trial(previous, new, precision, images)


def gpu_here() -> str:
    """Return the GPU that engines are built for and run on here, in one line; raise ValueError when there is none."""
    from .device import gpu_here

    return gpu_here()


def Engine(path: str | Path, precision: str, threads: int = 0) -> Any:
    """Return the engine at `path`, loaded on the GPU. See runner.Engine."""
    from .runner import Engine

    return Engine(path, precision, threads)
