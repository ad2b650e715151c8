"""Common operations on ONNX files: their facts, checks of their tensors, and running them in ONNX Runtime."""

from pathlib import Path

import onnx
import onnxruntime

from slipway.benchmark.company import Tolerance, dependence, in_company
from slipway.contract.contract import Contract, Tensor, Tensors
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_structure import digests


def opset_of(model: onnx.ModelProto) -> int:
    """Return the model's opset: the version of ONNX's own operators."""
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def described(path: Path) -> dict:
    """Return the facts about an ONNX file for its record: hash, size (bytes), versions, number of nodes, digests."""
    model = onnx.load(path)
    return {
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "opset": opset_of(model),
        "ir_version": model.ir_version,
        "nodes": len(model.graph.node),
        **digests(model),
    }


def require_served_tensors(model: onnx.ModelProto, contract: Contract) -> None:
    """Raise SlipwayError unless inputs and outputs have the contract's names, order, dtypes and dynamic axes."""
    for side, values in ((contract.inputs, model.graph.input), (contract.outputs, model.graph.output)):
        expected, actual = [tensor.in_words() for tensor in side], [in_words(value) for value in values]
        if len(side) != len(values) or not all(map(_is_served, side, values)):
            raise SlipwayError(
                f"the conversion changed the tensors of the graph: they are now {', '.join(actual) or 'none'}, where "
                f"the model has {', '.join(expected)}; install the versions of envs/requirements.txt"
            )


def in_words(value: onnx.ValueInfoProto) -> str:
    """Return a tensor of a graph in words, such as "input float32 (batch, 3, 224, 224)"."""
    tensor = value.type.tensor_type
    sizes = (size.dim_param or (size.dim_value if size.HasField("dim_value") else "?") for size in tensor.shape.dim)
    return f"{value.name} {_dtype(tensor.elem_type)} ({', '.join(map(str, sizes))})"


def require_own_answers(
    model: onnx.ModelProto, contract: Contract, samples: list[Tensors], tolerance: Tolerance
) -> dict:
    """Return the differences of the file's answers to the first sample between batches with other samples.

    Raises SlipwayError if an answer depends on the other samples of its batch. ONNX Runtime must be able to run the
    model.
    """
    session = session_of(model)
    differences = in_company(lambda inputs: answers_of(session, contract, inputs), contract, samples)
    if problem := dependence(differences, tolerance):
        raise SlipwayError(
            f"the ONNX file cannot be served in batches, since {problem}, and Triton puts requests of strangers into "
            "one batch; PyTorch answers each by itself, so the conversion is wrong: install the versions of "
            "envs/requirements.txt, or leave that precision out of `targets.*.precisions`"
        )
    return differences


def answers_of(session: onnxruntime.InferenceSession, contract: Contract, inputs: Tensors) -> Tensors:
    """Return a session's outputs for the inputs of a request, by name."""
    names = [tensor.name for tensor in contract.outputs]
    return dict(zip(names, session.run(names, inputs), strict=True))


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session on the CPU that computes the model as written, without optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _is_served(tensor: Tensor, value: onnx.ValueInfoProto) -> bool:
    """Return whether a graph's tensor is the contract's: no size that is dynamic there is fixed here."""
    served = value.type.tensor_type
    sizes = [size.dim_value if size.HasField("dim_value") else None for size in served.shape.dim]
    return (value.name, _dtype(served.elem_type), len(sizes)) == (tensor.name, tensor.dtype, len(tensor.shape)) and all(
        size in (None, own) for size, own in zip(sizes, tensor.shape, strict=True)
    )


def _dtype(element: int) -> str:
    return str(onnx.helper.tensor_dtype_to_np_dtype(element))
