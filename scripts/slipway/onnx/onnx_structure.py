"""Digests of an ONNX graph without its trained weights.

They decide whether an existing engine can be refitted, that is, whether it can take the weights of a new ONNX file.
"""

import hashlib
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, numpy_helper

# {operator: positions of the inputs whose weights TensorRT can refit}. A floating-point constant of any other input (an
# epsilon, a mean to subtract, the bound of a Clip, the scale of a Q/DQ node) is fixed in the built engine. So are the
# weights of instance and group normalisation, which TensorRT 8 hands to a plugin.
_WEIGHTS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (0, 1),
    "BatchNormalization": (1, 2, 3, 4),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    "QuantizeLinear": (0,),
    "Gather": (0,),
    "Expand": (0,),
    "Concat": range(1000),
    "Add": (0, 1),
    "Mul": (0, 1),
}
# Operators for which a single number is a setting, such as attention's scale, and no weight.
_SCALING = ("Add", "Mul")
_QUANTIZING = {"QuantizeLinear", "DequantizeLinear"}
# The operators of a quantised graph.
QUANTIZING = {*_QUANTIZING, "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}


def digests(model: onnx.ModelProto, folder: Path = Path()) -> dict[str, str]:
    """Return two digests of a graph that decide on a refit and on comparisons: {"structure_sha256", "topology_sha256"}.

    An engine can be refitted for a graph of the same structure. The structure has opsets, inputs and outputs with their
    types, nodes in their order with names and attributes, and name, type and shape of every constant. It has the values
    of all constants except weights that TensorRT can refit.

    The topology is the structure without the values of floating-point constants and of INT8 and FP8 data (scales, zero
    points, quantised weights). If two graphs have the same topology, the timing cache of the first build has all kernel
    times for the second build, and the speeds of their engines are comparable.

    Neither digest depends on comments, metadata, or the names of graph and producer. `folder` has the file of the
    model's external data, if there is one.
    """
    constants, readers = constants_of(model.graph), _readers(model.graph)
    weights = {name for name, tensor in constants.items() if _is_weight(tensor, readers[name])}
    trained = {
        name
        for name, tensor in constants.items()
        if _is_float(tensor) or (readers[name] and {kind for kind, _ in readers[name]} <= _QUANTIZING)
    }
    hidden = {"structure_sha256": weights, "topology_sha256": trained}
    return {name: _digest(model, constants, without, folder) for name, without in hidden.items()}


def _digest(model: onnx.ModelProto, constants: dict[str, onnx.TensorProto], hidden: set[str], folder: Path) -> str:
    """Return the SHA-256 of a graph without the values of the constants named in `hidden`.

    `constants` is {name: tensor} of all the graph's constants. `folder` has the file of the external data.
    """
    parts = [
        sorted((entry.domain or "ai.onnx", entry.version) for entry in model.opset_import),
        *(_bytes(function) for function in model.functions),
        *([value.name, _bytes(value.type)] for value in (*model.graph.input, *model.graph.output)),
        *(_node(node) for node in model.graph.node),
        *(_bytes(tensor) for tensor in model.graph.sparse_initializer),
        *(
            [name, tensor.data_type, list(tensor.dims), None if name in hidden else _values(tensor, folder)]
            for name, tensor in sorted(constants.items())
        ),
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _node(node: onnx.NodeProto) -> list:
    """Return the entries of a node for a digest, without the value of a Constant (see `constants_of`)."""
    attributes = [] if _holds_tensor(node) else sorted(_attribute(entry) for entry in node.attribute)
    return [node.op_type, node.domain, node.name, list(node.input), list(node.output), attributes]


def _attribute(attribute: onnx.AttributeProto) -> tuple[str, str]:
    bare = onnx.AttributeProto()
    bare.CopyFrom(attribute)
    bare.ClearField("doc_string")
    return bare.name, _bytes(bare)


def _values(tensor: onnx.TensorProto, folder: Path) -> str:
    """Return a digest of a constant's values as text, independent of their encoding in the file."""
    if tensor.data_type == TensorProto.STRING:
        return repr(list(tensor.string_data))
    return hashlib.sha256(numpy_helper.to_array(tensor, str(folder)).tobytes()).hexdigest()


def _bytes(message: Any) -> str:
    return message.SerializeToString(deterministic=True).hex()


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return {tensor's name: tensor} of a graph's initializers and Constant nodes."""
    return {
        **{tensor.name: tensor for tensor in graph.initializer},
        **{node.output[0]: node.attribute[0].t for node in graph.node if _holds_tensor(node)},
    }


def _holds_tensor(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and node.attribute[0].name == "value"


def _readers(graph: onnx.GraphProto) -> dict[str, list[tuple[str, int]]]:
    """Return {tensor: [(operator, position of the input)]} for its readers; ("output", 0) is an output of the graph."""
    readers = defaultdict(list)
    for node in graph.node:
        for position, name in enumerate(node.input):
            readers[name].append((node.op_type, position))
    for value in graph.output:
        readers[value.name].append(("output", 0))
    return readers


def _is_weight(tensor: onnx.TensorProto, readers: list[tuple[str, int]]) -> bool:
    """Return whether all readers of a constant use it as a weight that TensorRT can refit."""
    single = math.prod(tensor.dims) == 1
    refittable = (
        position in _WEIGHTS.get(kind, ()) and not (single and kind in _SCALING) for kind, position in readers
    )
    return _is_float(tensor) and bool(readers) and all(refittable)


def _is_float(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
