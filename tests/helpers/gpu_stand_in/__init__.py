"""Stand-ins for a GPU, PyCUDA, cuda-bindings and TensorRT 8.5, so that what calls them runs without a GPU.

They are strict where the real ones are: work on a stream is done when the stream is waited for, not before; nothing may
be allocated or waited for while a CUDA graph is recorded; addresses must be allocated, transfers page-locked; two
contexts of an engine cannot share an optimization profile. An "engine" is a file of JSON (see `library.write_engine`)
that multiplies each picture with its weights.
"""

from pathlib import Path

from . import building, library
from .device import Gpu, cuda_driver, module_of, pycuda_driver
from .library import CLASSES, CROP, logits_of, write_engine

__all__ = ["CLASSES", "CROP", "Gpu", "logits_of", "stand_ins", "tensorrt", "write_engine", "write_interpreter"]

# The sets of bindings that an interpreter may have, by what a test calls them.
BINDINGS = {"pycuda": ["pycuda"], "cuda-bindings": ["cuda-bindings"], "both": ["pycuda", "cuda-bindings"]}


def tensorrt(gpu):
    """Return a module that looks like TensorRT 8.5's."""
    names = ("ILogger", "TensorIOMode", "DataType", "LayerInformationFormat")
    of_building = (
        *("WeightsRole", "LayerType", "BuilderFlag", "NetworkDefinitionCreationFlag", "MemoryPoolType"),
        *("ProfilingVerbosity", "TacticSource", "OnnxParser", "IConvolutionLayer", "IConstantLayer"),
    )
    return module_of(
        "tensorrt",
        __version__="8.5.3.1",
        Runtime=library.runtime_of(gpu),
        Builder=building.builder_of(gpu),
        Refitter=building.refitter_of(gpu),
        **{name: getattr(library, name) for name in names},
        **{name: getattr(building, name) for name in of_building},
    )


def newer_tensorrt(gpu):
    """Return the same with what TensorRT 10.14 refits with, where several profiles are no obstacle."""
    newer = tensorrt(gpu)
    newer.__version__ = "10.14.1.48"
    newer.Refitter = building.refitter_of(gpu, several_profiles=True)
    newer.OnnxParserRefitter = building.OnnxParserRefitter
    newer.SerializationFlag = building.SerializationFlag
    return newer


def stand_ins(gpu, *bindings):
    """Return what sys.modules must hold for TensorRT and the bindings ("pycuda", "cuda-bindings") on this GPU.

    A binding that is not named cannot be imported.
    """
    modules = dict.fromkeys(("pycuda", "pycuda.driver", "cuda", "cuda.bindings", "cuda.bindings.driver"))
    if "pycuda" in bindings:
        driver = pycuda_driver(gpu)
        modules |= {"pycuda": module_of("pycuda", driver=driver), "pycuda.driver": driver}
    if "cuda-bindings" in bindings:
        driver = cuda_driver(gpu)
        package = module_of("cuda.bindings", driver=driver)
        modules |= {
            "cuda": module_of("cuda", bindings=package),
            "cuda.bindings": package,
            "cuda.bindings.driver": driver,
        }
    return {**modules, "tensorrt": tensorrt(gpu)}


def write_interpreter(folder, python, *bindings):
    """Write a Python interpreter that has the stand-ins instead of the real packages; return its path."""
    site = folder / "site"
    site.mkdir()
    tests = Path(__file__).resolve().parents[2]
    (site / "sitecustomize.py").write_text(
        "import sys\nimport helpers.gpu_stand_in as the\n"
        f"sys.modules.update(the.stand_ins(the.Gpu(), *{bindings!r}))\n",
        encoding="utf-8",
    )
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{site}:{tests}" exec "{python}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path
