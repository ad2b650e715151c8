"""ONNX files of the one network that the stand-in for TensorRT's parser takes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .library import CLASSES, CROP

# What a build of such a network is told; see `tensorrt` in the configuration.
BUILD_OPTIONS = {
    "profiles": [{"min": 1, "opt": 4, "max": 8}],
    "workspace_mb": 64,
    "optimization_level": 3,
    "tf32": False,
    "tactic_sources": None,
    "compatibility": "none",
}


def write_network(path, seed=0, scale=None, classes=CLASSES):
    """Write logits = gain * (kernel . picture + bias) for (N, 3, 4, 4) with seeded weights; return its answers.

    With a `scale`, picture and kernel pass Q/DQ nodes of that scale, which the answers here leave out of account.
    """
    random = np.random.default_rng(seed)
    weights = {
        "kernel": random.standard_normal((classes, 3, CROP, CROP), dtype=np.float32),
        "bias": random.standard_normal(classes, dtype=np.float32),
        "gain": 1 + 0.1 * random.standard_normal((1, classes, 1, 1), dtype=np.float32),
    }
    quantised = [] if scale is None else [*_q_dq("input"), *_q_dq("kernel")]
    suffix = "" if scale is None else "_dq"
    nodes = [
        *quantised,
        helper.make_node("Conv", [f"input{suffix}", f"kernel{suffix}", "bias"], ["features"], "conv"),
        helper.make_node("Mul", ["features", "gain"], ["scaled"], "scaling"),
        helper.make_node("Flatten", ["scaled"], ["logits"], "flattening"),
    ]
    scales = {} if scale is None else {"scale": np.float32(scale), "zero": np.int8(0)}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, CROP, CROP])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in (weights | scales).items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    flat = weights["kernel"].reshape(classes, -1).T
    return lambda batch: (batch.reshape(len(batch), -1) @ flat + weights["bias"]) * weights["gain"].reshape(1, classes)


def _q_dq(name):
    return [
        helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_q"], f"{name}_quantise"),
        helper.make_node("DequantizeLinear", [f"{name}_q", "scale", "zero"], [f"{name}_dq"], f"{name}_dequantise"),
    ]
