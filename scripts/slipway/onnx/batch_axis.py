"""Make the fixed batch axis of an ONNX graph dynamic, if each sample then keeps its answer in any batch.

Exporters often write the batch of their example into a graph: into the shapes of inputs and outputs, and into the
constants of Reshape and Resize nodes. A rewritten graph is used only after a trial. Each sample alone must have the
same answer as in the original file. A sample must also have the same answer in batches of several sizes, beside any
other samples.
"""

import copy
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.external_data_helper import uses_external_data

from slipway.benchmark.batch_independence import IN_32_BITS, apart, batch_distances, dependence
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_files import answering, session_of, shapes_of, tensor_of
from slipway.onnx.onnx_structure import constants_of

# The allowed distance of an answer from the file's answer, relative to its norm. Both use the same kernels.
_EQUAL = 1e-5


def fixed_batch(model: onnx.ModelProto) -> int | None:
    """Return the fixed size of the first axis, which all inputs share.

    Return None if the first axis of an input is missing or dynamic, or if the inputs differ in this size.
    """
    sizes = {(tensor_of(value).shape or (None,))[0] for value in model.graph.input}
    size = next(iter(sizes), None)
    return size if len(sizes) == 1 and isinstance(size, int) else None


def with_batch_axis(
    model: onnx.ModelProto, samples: Sequence[Tensors], folder: Path = Path()
) -> tuple[onnx.ModelProto | None, str]:
    """Make the batch axis of a model dynamic, and try the new model on `samples`.

    Returns (the new model, ""), or (None, the reason why the new model is not safe): it does not run, or a sample's
    answer changes. `model` has a fixed batch of 1. `samples` are real inputs with the names of its inputs. `folder` has
    the file of the model's external data, if there is one.
    """
    dynamic = _freed(model)
    try:
        problem = _difference(model, dynamic, samples, folder)
    except SlipwayError as error:
        problem = str(error)
    except Exception:  # ONNX Runtime has several exceptions without a common base
        traceback.print_exc()
        problem = "its operators do not take a batch of several samples"
    return (None, problem) if problem else (dynamic, "")


def contract_of(sample: Tensors, answer: Tensors) -> Contract:
    """Describe a model's inputs and outputs, as a contract with a batch axis.

    An input has the sizes that it has in `sample`. The sizes of an output are unknown. `answer`, {output: array} for
    this sample, gives the names, dtypes and numbers of axes of the outputs.
    """
    inputs = (Tensor(name, str(array.dtype), (BATCH, *array.shape[1:])) for name, array in sample.items())
    unknown = {name: (None,) * (array.ndim - 1) for name, array in answer.items()}
    outputs = (Tensor(name, str(array.dtype), (BATCH, *unknown[name])) for name, array in answer.items())
    return Contract(tuple(inputs), tuple(outputs))


def _freed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model of batch 1 that may take any batch size.

    The first axis of inputs and outputs becomes dynamic. Constant sizes in Reshape and Resize nodes are replaced, if
    the other sizes are known. All other nodes stay unchanged.
    """
    constants = {
        name: numpy_helper.to_array(tensor)
        for name, tensor in constants_of(model.graph).items()
        if not uses_external_data(tensor)
    }
    shapes = shapes_of(model)
    freed = copy.deepcopy(model)
    for value in (*freed.graph.input, *freed.graph.output):
        for first in value.type.tensor_type.shape.dim[:1]:
            first.dim_param = BATCH
    for node in freed.graph.node:
        if node.op_type == "Reshape":
            position, values = 1, _any_batch(node, constants, shapes)
        elif node.op_type == "Resize":
            position, values = 2, _scales(node, constants, shapes)
        else:
            continue
        if values is not None:
            name = f"{node.output[0]}_of_any_batch"
            freed.graph.initializer.append(numpy_helper.from_array(values, name))
            del node.input[position + 1 :]
            node.input[position] = name
    return freed


def _any_batch(
    node: onnx.NodeProto, constants: Mapping[str, np.ndarray], shapes: Mapping[str, tuple]
) -> np.ndarray | None:
    """Return the shape with which a Reshape node takes any batch size: -1, then the other sizes. None: change nothing.

    The node must reshape no constant, and have a constant shape that begins with 1. All other sizes must be known,
    since only one size can be -1. `constants` is {tensor: its values}, and `shapes` is {tensor: its inferred shape}.
    """
    if len(node.input) < 2 or node.input[1] not in constants or node.input[0] in constants:
        return None
    shape = constants[node.input[1]].tolist()
    rest = _sizes(shape, shapes.get(node.output[0], ())) if shape[:1] == [1] else None
    return None if rest is None else np.array([-1, *rest], np.int64)


def _scales(
    node: onnx.NodeProto, constants: Mapping[str, np.ndarray], shapes: Mapping[str, tuple]
) -> np.ndarray | None:
    """Return the scales with which a Resize node takes any batch size. None: change nothing.

    A scale is the size of an axis after the node / the size before the node. The node must have constant sizes, and the
    sizes before the node must be known. `constants` is {tensor: its values}, and `shapes` is {tensor: its inferred
    shape}.
    """
    before = shapes.get(node.input[0], ())
    if len(node.input) < 4 or node.input[3] not in constants or not all(isinstance(size, int) for size in before):
        return None
    sizes = constants[node.input[3]]
    return (sizes / np.array(before)).astype(np.float32) if len(sizes) == len(before) else None


def _sizes(shape: list[int], inferred: tuple) -> list[int] | None:
    """Return all sizes in a Reshape node's shape except the first, the batch size; None if one of them is unknown.

    `shape` is the shape that the node states. In place of a -1 in it, the result has the size in `inferred`, the
    inferred shape of the node's output.
    """
    sizes = [
        inferred[axis] if size == -1 and axis < len(inferred) and isinstance(inferred[axis], int) else size
        for axis, size in enumerate(shape)
    ]
    return None if -1 in sizes[1:] else sizes[1:]


def _difference(fixed: onnx.ModelProto, dynamic: onnx.ModelProto, samples: Sequence[Tensors], folder: Path) -> str:
    """Return in words why the dynamic model cannot replace the file; "" if it can.

    Each of `samples` alone must have the same answer as in `fixed`, the file's model. In `dynamic`, an answer must not
    depend on the other samples of its batch. `folder` has the file of the external data of both models, if there is
    one.
    """
    names = [value.name for value in fixed.graph.output]
    original = session_of(fixed, folder)
    contract = contract_of(samples[0], dict(zip(names, original.run(names, samples[0]), strict=True)))
    by_file, answer = answering(original, contract), answering(session_of(dynamic, folder), contract)
    for sample in samples:
        own, other = by_file(sample), answer(sample)
        distance = max(apart(own[name], other[name]) for name in own)
        if not distance <= _EQUAL:
            return f"it would answer a sample {distance:.2g} of the answer's norm apart from the file"
    return dependence(batch_distances(answer, contract, samples), IN_32_BITS) or ""
