"""The runtimes that build and run engines, one module each, behind one small interface.

A runtime module imports nothing of Slipway, since it also travels into a Triton model repository, where the Python
backend's adapter runs it. It has:

    SUFFIX                          what an engine's file name ends in
    engine_files(path)              every file of the engine at `path`
    build(onnx, path, precision)    write the engine; raises ValueError when the runtime cannot
    Engine(path, precision, threads=0, device=...)
        .infer(batch)               float32 (N, 3, H, W) -> float32 (N, classes)
        .layers()                   {precision: number of compute layers that really run in it}
"""

import importlib
from types import ModuleType


def runtime(name: str) -> ModuleType:
    """Return the module of a runtime. It is imported by name, so a program's rule lists it as an input of its own."""
    return importlib.import_module(f"slipway.runtimes.{name}")
