"""Common operations on ONNX files: facts for records, checks of tensors, and runs in ONNX Runtime."""

import copy
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime

from slipway.benchmark.batch_independence import Tolerance, batch_distances, dependence
from slipway.contract.contract import Contract, Tensor, Tensors
from slipway.core.artifacts import data_file, sha256
from slipway.core.errors import SlipwayError
from slipway.onnx import external_data
from slipway.onnx.onnx_structure import digests


def opset_of(model: onnx.ModelProto) -> int:
    """Return the model's opset: the version of ONNX's own operators."""
    return _own_operators(model).version


def renumbered(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return a copy of the model with another opset number, and no other change.

    Call it only if all operators of the model have the same form in both opsets.
    """
    changed = copy.deepcopy(model)
    _own_operators(changed).version = opset
    return changed


def _own_operators(model: onnx.ModelProto) -> onnx.OperatorSetIdProto:
    return next(entry for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def described(path: Path) -> dict:
    """Return the facts about the ONNX file `path` for its record.

    The keys are "sha256", "data_sha256" (None if the ONNX file contains its weights), "bytes" (with the data file),
    "opset", "ir_version", "nodes" (their number), "structure_sha256" and "topology_sha256" (see
    `onnx_structure.digests`).
    """
    model, data = external_data.read(path), data_file(path)
    is_large = external_data.has_data(model)
    return {
        "sha256": sha256(path),
        "data_sha256": sha256(data) if is_large else None,
        "bytes": path.stat().st_size + (data.stat().st_size if is_large else 0),
        "opset": opset_of(model),
        "ir_version": model.ir_version,
        "nodes": len(model.graph.node),
        **digests(model, path.parent),
    }


def require_served_tensors(model: onnx.ModelProto, contract: Contract) -> None:
    """Raise SlipwayError unless a converted model has the inputs and outputs of its contract, in the same order.

    Names, dtypes and numbers of axes must be equal. An axis that is dynamic in the contract must be dynamic in the
    model.
    """
    for side, values in ((contract.inputs, model.graph.input), (contract.outputs, model.graph.output)):
        actual = [tensor_of(value) for value in values]
        if len(side) != len(actual) or not all(map(_is_served, side, actual)):
            now, expected = (", ".join(tensor.in_words() for tensor in tensors) for tensors in (actual, side))
            raise SlipwayError(
                f"the conversion changed the tensors of the graph: they are now {now or 'none'}, where the model has "
                f"{expected}; install the versions of envs/requirements.txt"
            )


def tensor_of(value: onnx.ValueInfoProto) -> Tensor:
    """Return an input or output of a graph as a Tensor, in the form of a contract."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return Tensor(value.name, str(dtype), _shape_of(value))


def _shape_of(value: onnx.ValueInfoProto) -> tuple[int | str | None, ...]:
    sizes = value.type.tensor_type.shape.dim
    return tuple(size.dim_param or (size.dim_value if size.HasField("dim_value") else None) for size in sizes)


def shapes_of(model: onnx.ModelProto) -> dict[str, tuple]:
    """Return {tensor: shape} for the shapes that ONNX can infer. A dynamic axis is its name in the shape, or None."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {value.name: _shape_of(value) for value in (*graph.input, *graph.value_info, *graph.output)}


def require_batch_independence(
    session: onnxruntime.InferenceSession, contract: Contract, samples: list[Tensors], tolerance: Tolerance
) -> dict:
    """Raise SlipwayError if an answer in ONNX Runtime depends on the other samples of its batch. Return the distances.

    The distances are the dict of `batch_distances`: between a sample's answers alone, in batches of several sizes, and
    beside other samples. None of them may exceed `tolerance`.
    """
    differences = batch_distances(answering(session, contract), contract, samples)
    if problem := dependence(differences, tolerance):
        raise SlipwayError(
            f"the ONNX file cannot be served in batches, since {problem}, and Triton puts requests of several clients "
            "into one batch; the network answers each by itself, so the conversion is wrong: install the versions of "
            "envs/requirements.txt, or leave that precision out of `targets.*.precisions`"
        )
    return differences


def answering(session: onnxruntime.InferenceSession, contract: Contract) -> Callable[[Tensors], Tensors]:
    """Return a function that runs a request, {input: array}, in `session`, and returns {output: array}."""
    names = [tensor.name for tensor in contract.outputs]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def session_of(model: onnx.ModelProto, folder: Path = Path()) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session on the CPU that computes the model as written, without optimisations.

    `folder` has the file of the model's external data, if there is one.
    """
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _is_served(tensor: Tensor, actual: Tensor) -> bool:
    """Return whether the graph's tensor `actual` fits `tensor` of the contract.

    Names, dtypes and ranks must be equal. A size that the graph fixes must be fixed in the contract, too.
    """
    fixed = [(size, own) for size, own in zip(actual.shape, tensor.shape, strict=False) if isinstance(size, int)]
    alike = (actual.name, actual.dtype, len(actual.shape)) == (tensor.name, tensor.dtype, len(tensor.shape))
    return alike and all(size == own for size, own in fixed)
