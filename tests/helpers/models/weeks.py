"""A model that is trained week after week, and the build program that brings its engine up to date over stand-ins."""

import json

import numpy as np

import build_engine
from helpers.gpu_stand_in import CROP
from helpers.gpu_stand_in.networks import BUILD_OPTIONS, write_network
from helpers.models.onnx_record import onnx_record
from helpers.models.served_pictures import write_reference
from slipway.core.artifacts import read_json, write_json

LIMITS = {"min_cosine": 0.999, "max_relative_error": 0.01, "min_top1_agreement": 0.98, "max_top1_drop": 0.005}
SLOW, FAST = {"milliseconds": 8}, {"milliseconds": 2}


class Week:
    """A folder in which a model is trained again and again, and its engine brought up to date."""

    def __init__(self, folder, gpu):
        self.folder, self.gpu = folder, gpu
        self.onnx, self.reference = folder / "m.onnx", folder / "reference_outputs.npz"
        self.engine, self.record = folder / "m.fp16.trt", folder / "m.fp16.engine.json"
        self.said = []

    def train(self, seed, **network):
        """Write the ONNX file of a training, its record, and PyTorch's answers."""
        answer = write_network(self.onnx, seed, **network)
        write_json(f"{self.onnx}.json", onnx_record(self.onnx, weights_sha256=f"training {seed}"))
        random = np.random.default_rng(1)
        images, varied = (random.standard_normal((count, 3, CROP, CROP), dtype=np.float32) for count in (1, 8))
        self.varied, self.expected = varied, answer(varied)
        write_reference(self.reference, [images, varied], [answer(images), self.expected])

    def build(self, refit=False, builds=(FAST, FAST), **options):
        """Bring the engine up to date; return its record. The next builds give engines that take so long."""
        self.gpu.builds[:] = list(builds)
        given = {
            "runtime": "tensorrt",
            "runtime_version": "8.5.3.1",
            "precision": "fp16",
            "hardware": "Stand-in GPU (compute capability 9.0)",
            "cuda": "any",
            "builder": json.dumps(BUILD_OPTIONS | {"refit": refit}),
            "timing_cache": self.folder / "timing" / "h100.cache",
            "onnx": self.onnx,
            "onnx_record": f"{self.onnx}.json",
            "reference": self.reference,
            "limits": json.dumps(LIMITS),
            "max_slowdown": 1,
            "engine": self.engine,
            "record": self.record,
        } | options
        words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]
        build_engine.main(build_engine.parse_arguments(words))
        return read_json(self.record)

    def answers_as_trained(self):
        """Say whether the engine that lies there answers as the last training."""
        from slipway.runtimes.tensorrt.runner import Engine

        logits = Engine(self.engine, "fp16").infer({"input": self.varied})["logits"]
        return np.allclose(logits, self.expected, rtol=1e-3, atol=1e-3)


def ways(record):
    """Return the ways that were tried, and whether what came of each was refused."""
    return [(attempt["way"], attempt["refused"] is not None) for attempt in record["attempts"]]
