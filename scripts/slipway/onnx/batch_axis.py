"""Make the fixed batch axis of an ONNX graph dynamic, where the graph still answers each sample by itself.

Exporters often write the batch of their example into a graph: into the shapes of inputs and outputs, and into the
constants of Reshape nodes. A rewritten graph is only taken if it was tried: each sample alone must have the answer of
the file, and in batches of several sizes the same answer beside any others.
"""

import traceback
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from slipway.benchmark.company import IN_32_BITS, apart, dependence, in_company
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_files import answering, session_of, tensor_of
from slipway.onnx.onnx_structure import constants_of

# The allowed distance of an answer from that of the file, relative to its norm: both use the same kernels.
_EQUAL = 1e-5


def fixed_batch(model: onnx.ModelProto) -> int | None:
    """Return the size that the first axis of all inputs and outputs has; None if one is dynamic or another."""
    values = [*model.graph.input, *model.graph.output]
    sizes = {(tensor_of(value).shape or (None,))[0] for value in values}
    return next(iter(sizes)) if len(sizes) == 1 and all(isinstance(size, int) for size in sizes) else None


def with_batch_axis(model: onnx.ModelProto, samples: Sequence[Tensors]) -> tuple[onnx.ModelProto | None, str]:
    """Return (the model of a batch of 1 with a dynamic batch axis, ""), or (None, why that is not safe).

    `samples` are real inputs with the names of the model's inputs.
    """
    dynamic = _freed(model)
    try:
        problem = _difference(model, dynamic, samples)
    except SlipwayError as error:
        problem = str(error)
    except Exception:  # ONNX Runtime has several exceptions without a common base
        traceback.print_exc()
        problem = "its operators do not take a batch of several samples"
    return (None, problem) if problem else (dynamic, "")


def contract_of(model: onnx.ModelProto, sample: Tensors) -> Contract:
    """Return a contract of a model with a batch axis, and with the sample's other sizes."""
    inputs = tuple(Tensor(name, str(array.dtype), (BATCH, *array.shape[1:])) for name, array in sample.items())
    outputs = tuple(map(tensor_of, model.graph.output))
    return Contract(inputs, tuple(Tensor(each.name, each.dtype, (BATCH, *each.shape[1:])) for each in outputs))


def _freed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of a batch of 1 whose inputs, outputs and Reshape nodes take any number of samples."""
    reshaped = _reshapes_of_a_batch(model)
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    del freed.graph.value_info[:]  # shapes of a batch of 1
    for value in (*freed.graph.input, *freed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    for node in freed.graph.node:
        if (shape := reshaped.get(node.output[0] if node.output else "")) is not None:
            name = f"{node.output[0]}_shape_of_any_batch"
            freed.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
            node.input[1] = name
    return freed


def _reshapes_of_a_batch(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return {output of a Reshape node with a constant shape that begins with 1: the shape for any batch}.

    The shape begins with -1. So its other sizes must be known, from the shape itself or from the inferred shapes.
    """
    constants = constants_of(model.graph)
    inferred = onnx.shape_inference.infer_shapes(model)
    known = {value.name: tensor_of(value).shape for value in inferred.graph.value_info}
    known |= {value.name: tensor_of(value).shape for value in inferred.graph.output}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Reshape" or len(node.input) < 2 or node.input[1] not in constants:
            continue
        if node.input[0] in constants:  # a weight
            continue
        shape = numpy_helper.to_array(constants[node.input[1]]).tolist()
        if shape[:1] == [1] and (rest := _sizes(shape, known.get(node.output[0], ()))) is not None:
            found[node.output[0]] = [-1, *rest]
    return found


def _sizes(shape: list[int], inferred: tuple) -> list[int] | None:
    """Return the sizes after the first one of a Reshape's shape, all known or copied; None if one would be -1."""
    sizes = [
        inferred[axis] if size == -1 and axis < len(inferred) and isinstance(inferred[axis], int) else size
        for axis, size in enumerate(shape)
    ]
    return None if -1 in sizes[1:] else sizes[1:]


def _difference(fixed: onnx.ModelProto, dynamic: onnx.ModelProto, samples: Sequence[Tensors]) -> str:
    """Return in words where the model with a dynamic batch answers otherwise than the file; "" if it does nowhere."""
    contract = contract_of(dynamic, samples[0])
    by_file, answer = (answering(session_of(model), contract) for model in (fixed, dynamic))
    for sample in samples:
        own, other = by_file(sample), answer(sample)
        distance = max(apart(own[name], other[name]) for name in own)
        if not distance <= _EQUAL:
            return f"it would answer a sample {distance:.2g} of the answer's norm apart from the file"
    return dependence(in_company(answer, contract, samples), IN_32_BITS) or ""
