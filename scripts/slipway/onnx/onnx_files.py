"""Common operations on ONNX files: their facts, checks of their tensors, and running them in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from slipway.benchmark.company import Tolerance, dependence, in_company
from slipway.classification.picture_contract import picture_contract
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_structure import digests
from slipway.onnx.tensor_names import INPUT, OUTPUT


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


def require_served_tensors(model: onnx.ModelProto, input_dtype: str) -> None:
    """Raise SlipwayError unless input and logits have their names and dtypes and a dynamic batch axis."""
    element = {"float32": onnx.TensorProto.FLOAT, "uint8": onnx.TensorProto.UINT8}[input_dtype]
    for value, name, expected in (
        (model.graph.input[0], INPUT, element),
        (model.graph.output[0], OUTPUT, onnx.TensorProto.FLOAT),
    ):
        tensor = value.type.tensor_type
        if value.name != name or tensor.elem_type != expected or tensor.shape.dim[0].HasField("dim_value"):
            actual = f"{value.name}, {onnx.TensorProto.DataType.Name(tensor.elem_type)}, batch {tensor.shape.dim[0]}"
            raise SlipwayError(
                f"the conversion changed the tensor {name}: it is now {' '.join(actual.split())}; "
                "install the versions of envs/requirements.txt"
            )


def require_own_answers(model: onnx.ModelProto, sample: np.ndarray, tolerance: Tolerance) -> dict:
    """Return the differences of the file's answers to a sample (1, 3, H, W) between batches with other images.

    Raises SlipwayError if an answer depends on the other images of its batch. ONNX Runtime must be able to run the
    model.
    """
    session = session_of(model)
    answer = lambda inputs: {OUTPUT: session.run([OUTPUT], inputs)[0]}  # noqa: E731
    differences = in_company(answer, picture_contract(sample.dtype), [{INPUT: sample}])
    if problem := dependence(differences, tolerance):
        raise SlipwayError(
            f"the ONNX file cannot be served in batches, since {problem}, and Triton puts requests of strangers into "
            "one batch; PyTorch answers each by itself, so the conversion is wrong: install the versions of "
            "envs/requirements.txt, or leave that precision out of `targets.*.precisions`"
        )
    return differences


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session on the CPU that computes the model as written, without optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
