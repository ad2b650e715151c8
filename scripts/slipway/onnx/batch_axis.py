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

    Return None if the first axis of an input is dynamic, or if the inputs differ in this size.
    """
    sizes = {(tensor_of(value).shape or (None,))[0] for value in model.graph.input}
    size = next(iter(sizes), None)
    return size if len(sizes) == 1 and isinstance(size, int) else None


def with_batch_axis(
    model: onnx.ModelProto, samples: Sequence[Tensors], folder: Path = Path()
) -> tuple[onnx.ModelProto | None, str]:
    """Return (model with a dynamic batch axis, ""), or (None, the reason why that is not safe).

    `model` has a fixed batch of 1. `samples` are real inputs with the names of its inputs. `folder` has its data file,
    if there is one.
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
    """Return a contract with a batch axis and the sizes of one sample. `answer` has the outputs for this sample."""
    inputs = (Tensor(name, str(array.dtype), (BATCH, *array.shape[1:])) for name, array in sample.items())
    unknown = {name: (None,) * (array.ndim - 1) for name, array in answer.items()}
    outputs = (Tensor(name, str(array.dtype), (BATCH, *unknown[name])) for name, array in answer.items())
    return Contract(tuple(inputs), tuple(outputs))


def _freed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model of batch 1, in which inputs, outputs, Reshape and Resize nodes take any batch size."""
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
    """Return a Reshape node's shape with -1 as the batch size; None if the node cannot have such a shape.

    The node must have a constant shape that begins with 1. All other sizes must be known, since only one size can be
    -1.
    """
    if len(node.input) < 2 or node.input[1] not in constants or node.input[0] in constants:
        return None
    shape = constants[node.input[1]].tolist()
    rest = _sizes(shape, shapes.get(node.output[0], ())) if shape[:1] == [1] else None
    return None if rest is None else np.array([-1, *rest], np.int64)


def _scales(
    node: onnx.NodeProto, constants: Mapping[str, np.ndarray], shapes: Mapping[str, tuple]
) -> np.ndarray | None:
    """Return the scales that replace the constant sizes of a Resize node for any batch size; None for other nodes."""
    before = shapes.get(node.input[0], ())
    if len(node.input) < 4 or node.input[3] not in constants or not all(isinstance(size, int) for size in before):
        return None
    sizes = constants[node.input[3]]
    return (sizes / np.array(before)).astype(np.float32) if len(sizes) == len(before) else None


def _sizes(shape: list[int], inferred: tuple) -> list[int] | None:
    """Return the sizes of a Reshape's shape after the first, without -1; None if a size is unknown.

    A -1 in `shape` is replaced by the size in `inferred`, the shape of the node's output.
    """
    sizes = [
        inferred[axis] if size == -1 and axis < len(inferred) and isinstance(inferred[axis], int) else size
        for axis, size in enumerate(shape)
    ]
    return None if -1 in sizes[1:] else sizes[1:]


def _difference(fixed: onnx.ModelProto, dynamic: onnx.ModelProto, samples: Sequence[Tensors], folder: Path) -> str:
    """Return in words a difference between the answers of the dynamic model and the file; "" if there is none."""
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
