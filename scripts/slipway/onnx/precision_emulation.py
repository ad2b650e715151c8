"""Show on a CPU how a model in FP16 or BF16 overflows and rounds: compute in FP32, and round each tensor.

ONNX Runtime has few CPU kernels for FP16 and none for BF16. Without such a kernel, ONNX Runtime computes a node in
FP32, and passes FP32 values on to the next such node. So a value above 65504 stays finite, but overflows on a GPU. In
addition, ONNX Runtime's kernel for FP16 QuantizeLinear (1.24) truncates, although ONNX rounds to nearest.
"""

import copy
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slipway.onnx.graph_walk import graphs_in, nodes_of, refill

HALVES = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
# The attributes of nodes whose value is an element type.
_TYPES = ("to", "dtype", "output_dtype")


def emulated(model: onnx.ModelProto, folder: Path = Path()) -> onnx.ModelProto:
    """Return a model with FP32 operators that computes, on a CPU, with the rounding of the FP16 or BF16 `model`.

    Each result is rounded to the type that it has in `model`. The names of tensors do not change, nor the types of the
    graph's inputs and outputs. Sums inside an operator are in FP32, as tensor cores accumulate them. In the branches of
    an If and the body of a Loop only results are rounded. A model that makes no FP16 and BF16 tensors is returned
    unchanged. `folder` has the file of the model's external data, if there is one.
    """
    halves = half_tensors(model)
    if not halves:
        return model
    wide = copy.deepcopy(model)
    del wide.graph.value_info[:]
    _widen(wide.graph, folder)
    declared = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    nodes = list(_widened_inputs(wide.graph, declared))
    for node in wide.graph.node:
        made = {name: halves[name] for name in node.output if name in halves}
        for index, name in enumerate(node.output):
            if name in made:
                node.output[index] = f"{name}__unrounded"
        nodes.append(node)
        for name, kind in made.items():
            nodes += _rounding(name, kind, is_output=name in declared)
    refill(wide.graph.node, nodes)
    return wide


def half_tensors(model: onnx.ModelProto) -> dict[str, int]:
    """Return {tensor: its element type in ONNX} for all FP16 and BF16 tensors that nodes of the graph make."""
    from modelopt.onnx.utils import infer_types

    bare = copy.deepcopy(model)
    del bare.graph.value_info[:]
    graph = infer_types(bare).graph
    made = {name for node in graph.node for name in node.output}
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    return {name: kind for name, kind in kinds.items() if name in made and kind in HALVES}


def _widen(graph: onnx.GraphProto, folder: Path) -> None:
    """Replace FP16 and BF16 by FP32 in the weights and nodes of a graph, and everywhere in the graphs inside it.

    The declared types of the graph's own inputs and outputs stay. `folder` has the file of the model's external data.
    """
    inner = [part for node in nodes_of(graph) for part in graphs_in(node)]
    for part in (graph, *inner):
        for weight in part.initializer:
            _widen_tensor(weight, folder)
    for value in (value for part in inner for value in (*part.input, *part.output, *part.value_info)):
        if value.type.tensor_type.elem_type in HALVES:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in nodes_of(graph):
        for attribute in node.attribute:
            if attribute.name in _TYPES and attribute.i in HALVES:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t"):
                _widen_tensor(attribute.t, folder)


def _widen_tensor(tensor: TensorProto, folder: Path) -> None:
    if tensor.data_type in HALVES:
        values = numpy_helper.to_array(tensor, str(folder)).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _widened_inputs(graph: onnx.GraphProto, declared: dict[str, int]) -> list[onnx.NodeProto]:
    """Return nodes that cast the graph's FP16 and BF16 inputs to FP32, and make the other nodes read the FP32 tensors.

    `declared` is {input or output of the graph: its element type in ONNX}.
    """
    casts = [value.name for value in graph.input if declared[value.name] in HALVES]
    for node in nodes_of(graph):
        for index, name in enumerate(node.input):
            if name in casts:
                node.input[index] = f"{name}__wide"
    return [
        helper.make_node("Cast", [name], [f"{name}__wide"], f"{name}__wide", to=TensorProto.FLOAT) for name in casts
    ]


def _rounding(name: str, kind: int, is_output: bool) -> list[onnx.NodeProto]:
    """Return nodes that round the tensor `<name>__unrounded` to the type `kind`, and make the tensor `name` of it.

    `kind` is FLOAT16 or BFLOAT16 of ONNX. `name` is FP32 again, but if `is_output`, an output of the graph, it has the
    type `kind`.
    """
    half = name if is_output else f"{name}__half"
    down = helper.make_node("Cast", [f"{name}__unrounded"], [half], f"{name}__down", to=kind)
    up = helper.make_node("Cast", [half], [name], f"{name}__up", to=TensorProto.FLOAT)
    return [down] if is_output else [down, up]
