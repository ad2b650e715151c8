"""Read an ONNX file from any exporter. Refuse a file that cannot be served, with the reason."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import TensorProto

from slipway.core.errors import SlipwayError, listed
from slipway.networks.user_code import first_sentence
from slipway.onnx.external_data import load_small_tensors
from slipway.onnx.graph_walk import names_of_data, nodes_of
from slipway.onnx.onnx_structure import constants_of

# Domains of further operators for which ONNX Runtime has kernels.
KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
# ONNX Runtime 1.24 reads this opset and older ones.
NEWEST_OPSET = 25
_SERVED = {
    *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL),
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
}
_KINDS = {
    "sequence_type": ("a sequence", "skl2onnx: options={'zipmap': False}"),
    "map_type": ("a mapping", "skl2onnx: options={'zipmap': False}"),
    "optional_type": ("an optional value", "as a tensor that is always there"),
    "sparse_tensor_type": ("a sparse tensor", "as a dense one"),
}


def read_onnx(path: str | Path) -> onnx.ModelProto:
    """Return the model in an ONNX file from any exporter, with its external data.

    Only the large weights of a model above the limit of one ONNX file are not loaded (see `load_small_tensors`). Raises
    SlipwayError for a defect, or for an operator or type that cannot be served. The message names the place in the
    file.
    """
    path = Path(path)
    model = parsed(path)
    names = names_of_data(model)
    for name in names:
        require_beside(path, name)
    try:
        load_small_tensors(model, path.parent.resolve())
    except Exception as error:  # a file that is too short, or offsets outside of it
        raise SlipwayError(
            f"the weights beside {path} cannot be read ({first_sentence(error)}); copy all files of the model again"
        ) from None
    _require_readable(path, model)
    return model


def operators_of(model: onnx.ModelProto) -> dict[str, list[str]]:
    """Return {domain: names of its operators in a model} for all domains except ONNX's own."""
    operators = defaultdict(set)
    for node in nodes_of(model.graph):
        if node.domain not in ("", "ai.onnx"):
            operators[node.domain].add(node.op_type)
    return {domain: sorted(names) for domain, names in sorted(operators.items())}


def described(node: onnx.NodeProto) -> str:
    """Return a node in words, such as "the node conv1 (Conv)"."""
    domain = f" of {node.domain}" if node.domain else ""
    return f"the node {node.name or (node.output[0] if node.output else '?')} ({node.op_type}{domain})"


def parsed(path: Path) -> onnx.ModelProto:
    """Return the model in an ONNX file without its external data. Raise SlipwayError if it is missing or not ONNX."""
    if not path.is_file():
        raise SlipwayError(f"{path} does not exist; correct `weights` in config.yaml")
    try:
        model = onnx.load(path, load_external_data=False)
        defect = "" if (model.graph.node or model.graph.output) and model.opset_import else "it has no graph"
    except Exception as error:  # protobuf has several exceptions for damaged files
        defect = first_sentence(error)
    if defect:
        raise SlipwayError(
            f"{path} is truncated or no ONNX file ({defect}); copy it again, or export the model to ONNX (a TensorFlow "
            "graph by tf2onnx)"
        )
    return model


def require_beside(path: Path, name: str) -> None:
    """Raise SlipwayError unless `name`, a file of external data, lies in the folder of the ONNX file `path`."""
    folder = path.parent.resolve()
    file = folder / name
    if Path(name).is_absolute() or not file.resolve().is_relative_to(folder):
        raise SlipwayError(
            f"{path} has weights in {name}, outside of its own folder; save it again with all files in one folder "
            "(onnx.save(model, path, save_as_external_data=True, location='weights.bin'))"
        )
    if not file.is_file():
        raise SlipwayError(f"{path} has weights in {name}, which is not beside it; copy this file there, too")


def _require_readable(path: Path, model: onnx.ModelProto) -> None:
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset > NEWEST_OPSET:
        raise SlipwayError(
            f"{path} has the opset {opset}, but ONNX Runtime reads {NEWEST_OPSET} at most; export it with opset 20"
        )
    _require_known_operators(path, model)
    for side, values in (("input", model.graph.input), ("output", model.graph.output)):
        for value in values:
            _require_tensor(path, side, value)
    constants = constants_of(model.graph)
    for node in nodes_of(model.graph):
        if _is_in_training(node, constants):
            raise SlipwayError(
                f"{described(node)} of {path} is in training mode, so answers would be random or depend on their "
                "batch; export the model in inference mode (PyTorch: model.eval(), training=TrainingMode.EVAL)"
            )


def _require_known_operators(path: Path, model: onnx.ModelProto) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    nodes = [*nodes_of(model.graph), *(node for function in model.functions for node in function.node)]
    unknown = {
        described(node): None
        for node in nodes
        if node.domain not in KNOWN_DOMAINS and (node.domain, node.op_type) not in own
    }
    if unknown:
        raise SlipwayError(
            f"{path} has operators that no runtime here has a kernel for: {listed(list(unknown), 3)}; export it with "
            "ONNX's own operators"
        )


def _require_tensor(path: Path, side: str, value: onnx.ValueInfoProto) -> None:
    kind = value.type.WhichOneof("value")
    if kind in _KINDS:
        words, remedy = _KINDS[kind]
        raise SlipwayError(
            f"the {side} {value.name} of {path} is {words}, which no server takes or gives; export it again without it "
            f"({remedy})"
        )
    dtype = value.type.tensor_type.elem_type
    if dtype not in _SERVED:
        name = TensorProto.DataType.Name(dtype).lower()
        remedy = "encode texts before the model" if dtype == TensorProto.STRING else "export it again in float32"
        raise SlipwayError(
            f"the {side} {value.name} of {path} has values of the type {name}, which are not served; {remedy}, or "
            f"leave this {side} out of the export"
        )


def _is_in_training(node: onnx.NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    """Return whether a node computes as in training: it drops values at random, or normalises over the batch.

    A Dropout also counts if its input `training_mode` is not constant. `constants` is {tensor: its value}.
    """
    if node.domain or node.op_type not in ("BatchNormalization", "Dropout"):
        return False
    if node.op_type == "BatchNormalization":
        is_training = any(entry.name == "training_mode" and entry.i for entry in node.attribute)
        return is_training or len([name for name in node.output if name]) > 1
    if len(node.input) < 3 or not node.input[2]:
        return False
    return node.input[2] not in constants or bool(onnx.numpy_helper.to_array(constants[node.input[2]]).any())
