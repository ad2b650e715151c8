"""Builds by TensorRT itself on this machine's GPU.

SLIPWAY_TENSORRT_PYTHON names the interpreter that has TensorRT where it is not this one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

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


class Build:
    """An ONNX file, and its engine beside it."""

    def __init__(self, folder, onnx, onnx_record):
        self.folder, self.onnx, self.onnx_record = folder, onnx, onnx_record
        self.engine, self.record = folder / "tiny.fp32.trt", folder / "tiny.fp32.engine.json"

    def build(self, **changed):
        """Run the build program under TensorRT's interpreter; an option that is None is left out."""
        options = {
            "runtime": "tensorrt",
            "runtime-version": VERSION,
            "precision": "fp32",
            "hardware": gpu_identity(),
            "cuda": "any",
            "builder": json.dumps(BUILDER),
            "onnx": self.onnx,
            "onnx-record": self.onnx_record,
            "engine": self.engine,
            "record": self.record,
        } | {name.replace("_", "-"): value for name, value in changed.items()}
        given = (f"--{name}={value}" for name, value in options.items() if value is not None)
        command = [PYTHON, SCRIPTS / "build_engine.py", *given]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
