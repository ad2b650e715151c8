"""Builds and runs by TensorRT itself on this machine's GPU.

SLIPWAY_TENSORRT_PYTHON names the interpreter that has TensorRT where it is not this one.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from slipway.contract.archives import read_arrays, write_samples
from slipway.core.hardware import gpu_identity
from slipway.core.packages import runtime_version

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PYTHON = os.environ.get("SLIPWAY_TENSORRT_PYTHON", sys.executable)
VERSION = runtime_version("tensorrt", PYTHON)
BUILDER = {
    "profiles": [{"min": 1, "opt": 1, "max": 1}, {"min": 1, "opt": 4, "max": 8}],
    "workspace_mb": 512,
    "optimization_level": 3,
    "tf32": False,
    "tactic_sources": ["EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"],
    "compatibility": "none",
}

# As Triton's Python backend runs an engine: in its process, several requests as one batch.
TOGETHER = f"""
import sys
import numpy as np
sys.path.insert(0, {str(SCRIPTS)!r})
from slipway.contract.archives import read_samples
from slipway.runtimes.tensorrt import Engine

def main(path, requests, answers):
    engine = Engine(path)  # a local variable, so that the engine is freed before the interpreter closes its GPU
    np.savez(answers, **engine.infer_all(read_samples(requests)))

main(*sys.argv[1:])
"""


class Build:
    """An ONNX file, and its engine beside it."""

    def __init__(self, folder, onnx, onnx_record):
        self.folder, self.onnx, self.onnx_record = folder, onnx, onnx_record
        self.engine, self.record = folder / "tiny.fp32.trt", folder / "tiny.fp32.engine.json"

    def options(self):
        """Return the options of the build program, with underscores in their names."""
        return {
            "runtime": "tensorrt",
            "runtime_version": VERSION,
            "precision": "fp32",
            "hardware": gpu_identity(),
            "cuda": "any",
            "builder": json.dumps(BUILDER),
            "onnx": self.onnx,
            "onnx_record": self.onnx_record,
            "engine": self.engine,
            "record": self.record,
        }

    def build(self, **changed):
        """Run the build program under TensorRT's interpreter; an option that is None is left out."""
        options = self.options() | changed
        given = (f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None)
        return run_python(SCRIPTS / "build_engine.py", *given)

    def copied_to(self, folder):
        """Copy the folder with all its files; return the build in the copy, whose engine may be changed."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        paths = {name: value for name, value in vars(self).items() if isinstance(value, Path)}
        there = copy.copy(self)
        vars(there).update({name: folder / path.relative_to(self.folder) for name, path in paths.items()})
        return there

    def answer_together(self, requests):
        """Run requests as one batch; return {output: array} and what TensorRT wrote to standard error."""
        given, answers = self.folder / "requests.npz", self.folder / "answers.npz"
        write_samples(given, requests)
        answers.unlink(missing_ok=True)
        done = run_python("-c", TOGETHER, self.engine, given, answers)
        assert answers.exists(), done.stderr[-3000:]
        return read_arrays(answers), done.stderr


def run_python(*arguments):
    """Run TensorRT's interpreter; return the finished process."""
    return subprocess.run(list(map(str, [PYTHON, *arguments])), capture_output=True, text=True, check=False)
