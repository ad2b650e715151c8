"""Small ONNX files in the styles of several exporters, made by onnx.helper."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def tensor(name, shape, dtype=FLOAT):
    """Return the declaration of a tensor."""
    return helper.make_tensor_value_info(name, dtype, shape)


def weights(**arrays):
    """Return initializers of float32, or of an array's own integers."""
    kinds = {name: np.asarray(array) for name, array in arrays.items()}
    return [
        numpy_helper.from_array(array.astype(np.float32) if array.dtype.kind == "f" else array, name)
        for name, array in kinds.items()
    ]


def model(nodes, inputs, outputs, stored=(), opset=17, ir=8, **more):
    """Return a model of nodes, inputs, outputs and initializers."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(stored))
    domains = [
        helper.make_opsetid(domain, version) for domain, version in {"": opset, **more.pop("domains", {})}.items()
    ]
    return helper.make_model(graph, opset_imports=domains, ir_version=ir, **more)


def noise(*shape, seed=0):
    """Return normally distributed values, always the same ones."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def classifier(given="x", answer="scores", batch=1, reshape=True, opset=17, ir=8, last="Softmax"):
    """Return a model (batch, 2, 4) -> (batch, 3): a Reshape whose constant has the batch, a Gemm, a last operator."""
    shape = [batch if isinstance(batch, int) else -1, 8]
    flat = (
        [helper.make_node("Reshape", [given, "shape"], ["flat"])]
        if reshape
        else [helper.make_node("Flatten", [given], ["flat"])]
    )
    stored = weights(w=noise(8, 3), b=noise(3, seed=1)) + ([*weights(shape=np.array(shape))] if reshape else [])
    nodes = [
        *flat,
        helper.make_node("Gemm", ["flat", "w", "b"], ["numbers"]),
        helper.make_node(last, ["numbers"], [answer]),
    ]
    return model(nodes, [tensor(given, [batch, 2, 4])], [tensor(answer, [batch, 3])], stored, opset, ir)


def saved(made, path, **how):
    """Write a model; return its path."""
    onnx.save(made, path, **how)
    return path
