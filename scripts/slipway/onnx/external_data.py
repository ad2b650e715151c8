"""Write and read models that are too large for one ONNX file: a data file has their weights as external data.

`<name>.onnx.data` always lies beside `<name>.onnx`, since Snakemake has to know every file that a job makes. The data
file is empty if the ONNX file has the weights. Otherwise the metadata of the ONNX file have the SHA-256 of the data
file. So different weights always make different ONNX files, even of the same graph.
"""

import math
import os
from pathlib import Path

import onnx
from onnx.external_data_helper import (
    ExternalDataInfo,
    convert_model_to_external_data,
    load_external_data_for_model,
    load_external_data_for_tensor,
    uses_external_data,
    write_external_data_tensors,
)

from slipway.core.artifacts import data_file, sha256
from slipway.onnx.graph_walk import inner_tensors, names_of_data

# The most bytes of one ONNX file, which is a protobuf message. Tests of large networks set a lower limit.
ONNX_LIMIT = int(os.environ.get("SLIPWAY_ONNX_LIMIT", 2**31 - 1))
# Tensors of fewer bytes stay in the graph, where runtimes look for shapes and axes.
SMALLEST = 1024
_DIGEST = "data_sha256"


def read(path: Path) -> onnx.ModelProto:
    """Return the model of the ONNX file `path`. External data is not loaded: the tensors only refer to its file."""
    return onnx.load(path, load_external_data=False)


def has_data(model: onnx.ModelProto) -> bool:
    """Return whether some weights of the model are external data, in a data file, and are not loaded into the model."""
    return any(map(uses_external_data, model.graph.initializer))


def size_of(model: onnx.ModelProto) -> int:
    """Return the size of a model with its weights in bytes, exact to a few hundred bytes."""
    weights, graph = model.graph.initializer, (*model.graph.node, *model.graph.value_info)
    outside = (ExternalDataInfo(tensor).length or 0 for tensor in weights if uses_external_data(tensor))
    return sum(part.ByteSize() for part in (*weights, *graph)) + sum(outside)


def load_small_tensors(model: onnx.ModelProto, folder: Path) -> None:
    """Load a model's external data from files in `folder`, except the large weights of a model above ONNX_LIMIT.

    Weights of at least SMALLEST bytes are large. Raises ValueError if a file is too short for a tensor.
    """
    for tensor in filter(uses_external_data, inner_tensors(model)):
        load_external_data_for_tensor(tensor, str(folder))
    weights = list(filter(uses_external_data, model.graph.initializer))
    for tensor in weights:
        _state_length(tensor, folder)
    large = size_of(model) > ONNX_LIMIT
    for tensor in weights:
        if not large or _bytes(tensor) < SMALLEST:
            load_external_data_for_tensor(tensor, str(folder))


def write(model: onnx.ModelProto, path: Path, folder: Path | None = None) -> None:
    """Write a model to the ONNX file `path`, and its weights to a data file beside it if one file is too small.

    One ONNX file has at most ONNX_LIMIT bytes. If the weights fit into it, the data file is empty. `folder` is the
    folder of the data file in which the model's weights lie now; None if the model contains them. If this file is
    already the data file beside `path`, it is not written again.
    """
    data, large = data_file(path), size_of(model) > ONNX_LIMIT
    if has_data(model) and not (large and names_of_data(model) == [data.name] and folder == path.parent):
        load_external_data_for_model(model, str(folder))
    if not has_data(model):
        data.write_bytes(b"")
    if large and not has_data(model):
        convert_model_to_external_data(model, location=data.name, size_threshold=SMALLEST)
        write_external_data_tensors(model, str(path.parent))
    if large:
        entries = {entry.key: entry.value for entry in model.metadata_props}
        onnx.helper.set_model_props(model, {**entries, _DIGEST: sha256(data)})
    onnx.save(model, path)


def _bytes(tensor: onnx.TensorProto) -> int:
    """Return the number of bytes of a tensor's values. Two values of 4 bits share one byte."""
    return math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def _state_length(tensor: onnx.TensorProto, folder: Path) -> None:
    """Write the length of a tensor's data into its entry for external data, if the entry lacks the length.

    Raises ValueError if the data file is too short.
    """
    info = ExternalDataInfo(tensor)
    length, available = info.length or _bytes(tensor), (folder / info.location).stat().st_size - (info.offset or 0)
    if length > available:
        raise ValueError(f"{info.location} has {max(available, 0)} of the {length} bytes of {tensor.name}")
    if not info.length:
        tensor.external_data.add(key="length", value=str(length))
