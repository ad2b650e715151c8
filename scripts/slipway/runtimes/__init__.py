"""The runtimes that build and run engines: one folder each, found by its `traits.json`, with a common interface.

A runtime's folder is a package that imports nothing of Slipway, because the folder is also copied into a Triton model
repository, where the Python backend's model.py imports the package. The package has:

    build(onnx, path, precision, options)
                                    write the engine; return the facts for the record; raise ValueError if the engine
                                    cannot be built. Every runtime's facts have
                                    "tensors"  {"inputs": [{"name", "dtype", "shape"}], "outputs": [...]} as the engine
                                               has them; a dtype is NumPy's name, a size of -1 is dynamic
                                    "layers"   {precision: number of compute layers that really run in this precision}
    Engine(path, precision, threads=0)
        .infer(inputs)              {input: array} -> {output: array}; raise ValueError if the inputs do not fit
        .infer_all(requests)        [{input: array}] -> {output: array}; requests are joined along axis 0 as a batch;
                                    the outputs may be buffers that the next run overwrites
    gpu_here()                      the GPU's identity; raise ValueError without a GPU; only for runtimes of GPUs

The `traits.json` in the folder has the fields of a RuntimeTraits. An int8 engine is built from an ONNX file with Q/DQ
nodes. An engine of another precision is built from the FP32 file; only TensorRT's engines have a file of their own
precision.
"""

import importlib
from pathlib import Path
from types import ModuleType

from slipway.core.errors import SlipwayError
from slipway.core.traits import read_traits
from slipway.runtimes.traits import RuntimeTraits

FOLDER = Path(__file__).parent
TRAITS = "traits.json"  # in the folder of each runtime
INTERFACE = ("build", "Engine")

RUNTIMES: dict[str, RuntimeTraits] = {
    path.parent.name: read_traits(path, path.parent.name, RuntimeTraits) for path in sorted(FOLDER.glob(f"*/{TRAITS}"))
}


def runtime(name: str) -> ModuleType:
    """Return the module that builds and runs the engines of a runtime, such as "onnxruntime".

    For its functions, see the top of this file. The module is imported by its name, not with this file, so that a rule
    depends only on the code of the runtime that it uses. Raises SlipwayError if the module lacks a part of the
    interface.
    """
    module = importlib.import_module(f"slipway.runtimes.{RUNTIMES[name].module}")
    missing = [part for part in INTERFACE if not hasattr(module, part)]
    if missing:
        raise SlipwayError(f"{module.__file__} has no `{'` and no `'.join(missing)}`, which every runtime must have")
    return module


def runtime_code(name: str) -> list[Path]:
    """Return the sorted paths of the files that build and run a runtime's engines."""
    return sorted((FOLDER / RUNTIMES[name].module).glob("*.py"))


def engine_files(name: str, path: Path) -> list[Path]:
    """Return the paths of all files of an engine of the runtime `name`: first `path`, then the files beside it."""
    first, *others = RUNTIMES[name].suffixes
    return [path, *(path.with_name(path.name.removesuffix(first) + suffix) for suffix in others)]


def traits_file(name: str) -> Path:
    """Return the path of the traits.json of a runtime."""
    return FOLDER / name / TRAITS
