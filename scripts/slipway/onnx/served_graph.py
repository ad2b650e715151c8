"""Make the graph of a user's ONNX file ready to serve: the contract's names of tensors, a normalisation, and casts.

The contract describes the inputs and outputs that a model is served with. The graph gets an opset that the runtimes of
all targets read, if its answers then stay the same.
"""

import traceback
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from slipway.benchmark.batch_independence import apart
from slipway.contract.contract import Contract, Tensor, Tensors
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError
from slipway.networks.graph_network import GraphNetwork
from slipway.onnx import external_data
from slipway.onnx.export import lower_einsum
from slipway.onnx.graph_walk import refill, tensors_behind
from slipway.onnx.onnx_files import opset_of, renumbered, session_of, tensor_of
from slipway.onnx.tidying import ir_version_of, rename

# The conversions to other precisions, and TensorRT, read this opset and newer ones.
OLDEST_OPSET = 13
_EQUAL = 1e-4


def take_graph(network: ServedNetwork, contract: Contract, sample: Tensors, opset: int, path: Path) -> str:
    """Write the graph of a user's ONNX file to `path`, with the contract's inputs, outputs and axes.

    `network` has the user's file. If its opset is above `opset`, or too old for other steps, the graph is converted
    (see `at_opset`), and must then answer `sample`, {input: array}, as before. Returns a sentence about the conversion,
    or "" without one. Raises SlipwayError if an opset above `opset` cannot be converted.
    """
    file: GraphNetwork = network.network
    model, folder = external_data.read(file.path), file.path.parent
    single = len(file.inputs) == 1  # a single input may have another name in the contract
    inputs = {file.inputs[0].name if single else tensor.name: tensor for tensor in contract.inputs}
    outputs = {file.own_outputs(network.names)[tensor.name]: tensor for tensor in contract.outputs}
    # The file's graph takes pixels as float32; the normalisation is added later.
    given = {
        name: sample[tensor.name].astype(np.float32) if tensor.normalisation else sample[tensor.name]
        for name, tensor in inputs.items()
    }
    model, note = at_opset(model, opset, given, folder)
    lower_einsum(model)
    _declare(model, inputs, outputs)
    external_data.write(model, path, folder)
    return note


def at_opset(model: onnx.ModelProto, newest: int, sample: Tensors, folder: Path) -> tuple[onnx.ModelProto, str]:
    """Return (the model, converted to an opset that can be used, a sentence about the conversion).

    An opset from OLDEST_OPSET to `newest` can be used: a model with such an opset is returned unchanged, with "".
    Another model is converted, and must then answer `sample`, {input: array}, as before. If this fails for an older
    opset, the model is returned unchanged, and the sentence says so. If it fails for a newer opset, SlipwayError is
    raised. `folder` has the file of the model's external data, if there is one.
    """
    own = opset_of(model)
    if OLDEST_OPSET <= own <= newest:
        return model, ""
    for opset in dict.fromkeys((newest, *(known for known in (17, OLDEST_OPSET) if own < known < newest))):
        for convert in (version_converter.convert_version, _checked):
            if own < opset and convert is _checked:
                continue  # operators have another form in the newer opset
            try:
                converted = convert(model, opset)
                converted.ir_version = ir_version_of(opset)
                if _answers_alike(model, converted, sample, folder):
                    return converted, f"converted from opset {own} to {opset}"
            except Exception:  # the converter and ONNX Runtime have several exceptions
                traceback.print_exc()
    if own < OLDEST_OPSET:
        return model, f"the file has opset {own}, and no newer one computes the same: it stays"
    raise SlipwayError(
        f"the ONNX file has opset {own}, but the runtimes of all targets read {newest} at most, and its graph cannot "
        f"be converted; export it with opset {newest}, or take newer runtimes"
    )


def _checked(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    changed = renumbered(model, opset)
    onnx.checker.check_model(changed, full_check=True)
    return changed


def _answers_alike(one: onnx.ModelProto, other: onnx.ModelProto, sample: Tensors, folder: Path) -> bool:
    answers = [session_of(model, folder).run(None, sample) for model in (one, other)]
    return all(apart(own, converted) <= _EQUAL for own, converted in zip(*answers, strict=True))


def _declare(model: onnx.ModelProto, inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> None:
    """Give a graph the contract's inputs and outputs, and remove nodes and weights on which no output depends.

    `inputs` and `outputs` are {name in the graph: the contract's tensor}.
    """
    graph = model.graph
    dtypes = {value.name: tensor_of(value).dtype for value in graph.output}
    around: list[onnx.NodeProto] = []
    names = {}
    for name, tensor in inputs.items():
        names[name] = tensor.name
        if tensor.normalisation:
            names[name] = f"{tensor.name}_normalised"
            around += _normalising(graph, tensor, names[name])
    casts = []
    for name, tensor in outputs.items():
        names[name] = tensor.name
        if dtypes[name] != tensor.dtype:
            names[name] = f"{tensor.name}_as_computed"
            to = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
            casts.append(helper.make_node("Cast", [names[name]], [tensor.name], f"{tensor.name}_cast", to=to))
    rename(graph, {name: served for name, served in names.items() if name != served})
    refill(graph.node, [*around, *graph.node, *casts])
    refill(graph.input, map(_value, inputs.values()))
    refill(graph.output, map(_value, outputs.values()))
    del graph.value_info[:]
    needed = tensors_behind(graph, [value.name for value in graph.output])
    refill(graph.node, [node for node in graph.node if needed.intersection(node.output)])
    refill(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])


def _normalising(graph: onnx.GraphProto, tensor: Tensor, name: str) -> list[onnx.NodeProto]:
    """Add constants to the graph, and return the nodes that normalise the input `tensor`: (x / 255 - mean) / std.

    The result is the tensor `name`.
    """
    shape = [1, -1] + [1] * (len(tensor.shape) - 2)
    constants = {"of_255": np.array(255.0)}
    constants |= {part: np.reshape(getattr(tensor.normalisation, part), shape) for part in ("mean", "std")}
    for part, values in constants.items():
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), f"{name}_{part}"))
    nodes = [helper.make_node("Cast", [tensor.name], [f"{name}_0"], f"{name}_Cast_0", to=onnx.TensorProto.FLOAT)]
    for number, (operator, constant) in enumerate((("Div", "of_255"), ("Sub", "mean"), ("Div", "std")), 1):
        read, made = [f"{name}_{number - 1}", f"{name}_{constant}"], f"{name}_{number}" if number < 3 else name
        nodes.append(helper.make_node(operator, read, [made], f"{name}_{operator}_{number}"))
    return nodes


def _value(tensor: Tensor) -> onnx.ValueInfoProto:
    """Return the declaration of a contract's tensor for a graph."""
    shape = [f"{tensor.name}_{axis}" if size is None else size for axis, size in enumerate(tensor.shape)]
    return helper.make_tensor_value_info(tensor.name, helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), shape)
