"""The runtimes that build and run engines: a row here and a module each, behind one small interface.

A runtime module imports nothing of Slipway, since it also travels into a Triton model repository, where the Python
backend's adapter runs it. It has:

    engine_files(path)              every file of the engine at `path`
    build(onnx, path, precision)    write the engine; raises ValueError when the runtime cannot
    Engine(path, precision, threads=0)
        .infer(batch)               float32 (N, 3, H, W) -> float32 (N, classes)
        .layers()                   {precision: number of compute layers that really run in it}
"""

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Traits:
    """What is known of a runtime without importing it."""

    package: str  # the package whose version an engine is keyed on
    precisions: tuple[str, ...]
    newest_opset: int  # of ONNX that it reads
    suffixes: tuple[str, ...]  # of an engine's files, the one that is loaded first


RUNTIMES = {
    "openvino": Traits("openvino", ("fp32", "bf16"), 20, (".openvino.xml", ".openvino.bin")),
    "onnxruntime": Traits("onnxruntime-gpu", ("fp32",), 20, (".ort.onnx",)),
}


def runtime(name: str) -> ModuleType:
    """Return the module of a runtime. It is imported by name, so a program's rule lists it as an input of its own."""
    return importlib.import_module(f"slipway.runtimes.{name}")
