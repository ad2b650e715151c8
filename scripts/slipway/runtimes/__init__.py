"""The runtimes that build and run engines: one row in a table and one module each, with a common interface.

A runtime is a module or a package that imports nothing of Slipway: it is also copied into a Triton model repository,
where the Python backend's model.py runs it. It has:

    engine_files(path)              all files of the engine at `path`
    build(onnx, path, precision, options)
                                    write the engine; return this runtime's own facts for the record, may be {};
                                    raise ValueError if the engine cannot be built
    Engine(path, precision, threads=0)
        .infer(batch)               float32 or uint8 (N, 3, H, W) -> float32 (N, classes)
        .infer_all(batches)         the same for several batches in order, run as one
        .layers()                   {precision: number of compute layers that really run in it}
"""

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Traits:
    """The facts about a runtime that are known without importing it."""

    module: str  # of slipway.runtimes
    package: str  # the package whose version an engine is keyed on
    precisions: tuple[str, ...]
    newest_opset: int  # of ONNX that it reads
    suffixes: tuple[str, ...]  # of an engine's files; the first file is the one to load

    @property
    def is_tensorrt(self) -> bool:
        """Return whether the runtime is an edition of TensorRT, which needs a GPU and may have its own interpreter."""
        return self.module == "tensorrt"


RUNTIMES = {
    "openvino": Traits("openvino", "openvino", ("fp32", "bf16", "int8"), 20, (".openvino.xml", ".openvino.bin")),
    "onnxruntime": Traits("onnxruntime", "onnxruntime-gpu", ("fp32",), 20, (".ort.onnx",)),
    "tensorrt": Traits("tensorrt", "tensorrt", ("fp32", "fp16", "bf16", "int8", "fp8"), 20, (".trt",)),
    "tensorrt_rtx": Traits("tensorrt", "tensorrt-rtx", ("fp32", "fp16", "bf16", "int8", "fp8"), 20, (".rtx",)),
}


def runtime(name: str) -> ModuleType:
    """Return the module of a runtime. It is imported by name, so a program's rule must list it as an input."""
    return importlib.import_module(f"slipway.runtimes.{RUNTIMES[name].module}")
