"""A convolution small enough to build in a moment, as every program downstream of the build finds an engine."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from helpers.models.classifier_contract import classifier
from slipway.contract.contract import Contract
from slipway.core.artifacts import sha256, write_json
from slipway.engines.engine_artifact import BuiltEngine
from slipway.runtimes import RUNTIMES, engine_files, runtime

CROP, CLASSES = 16, 5
TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}


@dataclass(frozen=True)
class Tiny:
    """An engine with its record, class names and a checkpoint's record beside it, an input, and its contract."""

    engine_record: Path
    weights_record: Path
    labels: Path
    batch: np.ndarray
    contract: Contract

    @property
    def engine(self):
        return BuiltEngine.of_record(self.engine_record)


def write_onnx(path, input_dtype, seed=0, mixing=False):
    """Write convolution, mean over the picture: (N, 3, 16, 16) of `input_dtype` to logits (N, 5), seeded.

    With `mixing` each answer has a tenth of the batch's mean in it.
    """
    weights = np.random.default_rng(seed).standard_normal((CLASSES, 3, 3, 3), dtype=np.float32)
    nodes = [
        helper.make_node("Cast", ["input"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "weights"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["features"], ["means"]),
        helper.make_node("Flatten", ["means"], ["own" if mixing else "logits"]),
    ]
    if mixing:
        nodes += [
            helper.make_node("ReduceMean", ["own"], ["shared"], axes=[0], keepdims=1),
            helper.make_node("Mul", ["shared", "share"], ["part"]),
            helper.make_node("Add", ["own", "part"], ["logits"]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TYPES[input_dtype], ["N", 3, CROP, CROP])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.float32([0.1]), "share")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def tiny_engine(folder, name="openvino", input_dtype="float32", seed=0, mixing=False, **record):
    """Build the engine of a CPU runtime in `folder`, with the record that a build writes."""
    write_onnx(folder / "tiny.onnx", input_dtype, seed, mixing)
    path = folder / f"tiny.fp32{RUNTIMES[name].suffixes[0]}"
    facts = runtime(name).build(folder / "tiny.onnx", path, "fp32", {})
    files = {file.name: sha256(file) for file in engine_files(name, path)}
    key = {"runtime": name, "precision": "fp32", "onnx_sha256": sha256(folder / "tiny.onnx")}
    contract = classifier(input_dtype, CROP, CLASSES)
    made = {"files": files, "key": key, "interface": contract.interface(), **facts}
    write_json(folder / "tiny.engine.json", {**made, **record})
    weights = {"classes": CLASSES, "origin": "checkpoint", "sha256": "0" * 64, "largest_batch": None}
    write_json(folder / "weights.json", weights)
    (folder / "labels.txt").write_text("\n".join(f"class {index}" for index in range(CLASSES)) + "\n")
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, CROP, CROP), dtype=np.uint8)
    files = (folder / "tiny.engine.json", folder / "weights.json", folder / "labels.txt")
    return Tiny(*files, pixels.astype(input_dtype), contract)


def change_record(path, **changes):
    """Write a build record again, changed."""
    write_json(path, json.loads(path.read_text()) | changes)
