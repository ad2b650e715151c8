"""What an ONNX graph is apart from its trained weights, as two digests that tell what a new engine may take over."""

import hashlib
import math
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

# The inputs through which TensorRT takes trained weights that it can refit, by operator. A floating-point constant that
# is read anywhere else (an epsilon, a mean to subtract, the bound of a Clip, the scale of a Q/DQ node) is part of what
# is built, as are the weights of instance and group normalisation, which TensorRT 8 hands to a plugin.
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
# A single number that is added or multiplied is a setting, such as attention's scale, not a weight.
_SCALING = ("Add", "Mul")
_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")


def digests(model: "onnx.ModelProto") -> dict[str, str]:
    """Return "structure_sha256" and "topology_sha256" of a graph.

    The structure is everything but the values of the weights that TensorRT can refit: opsets, inputs and outputs with
    their types, nodes in their order with names and attributes, and name, type and shape of every constant, with the
    values of those that are not such weights. An engine may be refitted for a graph of the same structure.

    The topology is the structure without the values of any floating-point constant, nor of what INT8 and FP8 are made
    of (scales, zero points, quantised weights). Where it is the same, TensorRT's timing cache knows every kernel, and
    the speeds of two engines compare.

    Comments, metadata and the names of graph and producer are in neither.
    """
    constants, readers = _constants(model.graph), _readers(model.graph)
    weights = {name for name, tensor in constants.items() if _is_weight(tensor, readers[name])}
    trained = {name for name, tensor in constants.items() if _is_float(tensor) or _is_quantized(readers[name])}
    hidden = {"structure_sha256": weights, "topology_sha256": trained}
    return {name: _digest(model, constants, without) for name, without in hidden.items()}


def _digest(model: "onnx.ModelProto", constants: dict[str, "onnx.TensorProto"], hidden: set[str]) -> str:
    """Return the SHA-256 of a graph in which the constants named in `hidden` have no values."""
    said = [
        sorted((entry.domain or "ai.onnx", entry.version) for entry in model.opset_import),
        *(_bytes(function) for function in model.functions),
        *([value.name, _bytes(value.type)] for value in (*model.graph.input, *model.graph.output)),
        *(_node(node) for node in model.graph.node),
        *(_bytes(tensor) for tensor in model.graph.sparse_initializer),
        *(_constant(name, constants[name], name in hidden) for name in sorted(constants)),
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _node(node: "onnx.NodeProto") -> list:
    """Return what a node does; the value of a Constant is told with the other constants."""
    attributes = [] if _holds_tensor(node) else sorted(_attribute(entry) for entry in node.attribute)
    return [node.op_type, node.domain, node.name, list(node.input), list(node.output), attributes]


def _attribute(attribute: "onnx.AttributeProto") -> tuple[str, str]:
    import onnx

    bare = onnx.AttributeProto()
    bare.CopyFrom(attribute)
    bare.ClearField("doc_string")
    return bare.name, _bytes(bare)


def _constant(name: str, tensor: "onnx.TensorProto", hidden: bool) -> list:
    return [name, tensor.data_type, list(tensor.dims), None if hidden else _values(tensor)]


def _values(tensor: "onnx.TensorProto") -> str:
    """Return a digest of a constant's values, however the file holds them."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_type == TensorProto.STRING:
        return repr(list(tensor.string_data))
    return hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).hexdigest()


def _bytes(message: object) -> str:
    return message.SerializeToString(deterministic=True).hex()


def _constants(graph: "onnx.GraphProto") -> dict[str, "onnx.TensorProto"]:
    """Return the tensors of a graph's initializers and Constant nodes by name."""
    return {
        **{tensor.name: tensor for tensor in graph.initializer},
        **{node.output[0]: node.attribute[0].t for node in graph.node if _holds_tensor(node)},
    }


def _holds_tensor(node: "onnx.NodeProto") -> bool:
    return node.op_type == "Constant" and node.attribute[0].name == "value"


def _readers(graph: "onnx.GraphProto") -> dict[str, list[tuple[str, int]]]:
    """Return who reads each tensor: operators, each with the position of its input; "output" where the graph ends."""
    readers = defaultdict(list)
    for node in graph.node:
        for position, name in enumerate(node.input):
            readers[name].append((node.op_type, position))
    for value in graph.output:
        readers[value.name].append(("output", 0))
    return readers


def _is_weight(tensor: "onnx.TensorProto", readers: list[tuple[str, int]]) -> bool:
    """Say whether all that read a constant take it as a weight that TensorRT can refit."""
    single = math.prod(tensor.dims) == 1
    taken = (position in _WEIGHTS.get(kind, ()) and not (single and kind in _SCALING) for kind, position in readers)
    return _is_float(tensor) and bool(readers) and all(taken)


def _is_quantized(readers: list[tuple[str, int]]) -> bool:
    """Say whether a constant is only there to be quantised or dequantised, or to say how."""
    return bool(readers) and all(kind in _QUANTIZING for kind, _ in readers)


def _is_float(tensor: "onnx.TensorProto") -> bool:
    from onnx import TensorProto

    return tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
