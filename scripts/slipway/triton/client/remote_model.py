"""A model on any Triton server: find the model, read its tensors from the server, and send it requests."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import triton_to_np_dtype

from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.contract.served_form import as_served, as_stated, cast_exactly, served_dims
from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Connection, Restricted
from slipway.triton.client.sample_batches import without_missing
from slipway.triton.repository.model_config import CONTRACT

TEXT = "BYTES"
# NumPy has no bfloat16: inputs and outputs of this type are float32 arrays for callers.
BFLOAT16 = "BF16"


@dataclass(frozen=True)
class RemoteModel:
    """A model on a server. `name` is its name in Triton; with the version "", the server chooses the version.

    `contract` has the names, shapes and dtypes of the inputs and outputs. Its dtypes are NumPy's, "object" for text. In
    a shape, a dynamic size without a name is None. `datatypes` is {input: Triton's dtype}. `max_batch` is the largest
    number of samples in a request; None without a batch axis. A request may leave out the inputs in `optional`.
    """

    name: str
    version: str
    contract: Contract
    datatypes: Mapping[str, str]
    max_batch: int | None
    optional: frozenset[str] = field(default_factory=frozenset)

    def cast(self, inputs: Tensors) -> Tensors:
        """Return {input: array} in the dtypes that the model takes, for `ask`.

        Raises SlipwayError if the model has other inputs or shapes, or if a value would change.
        """
        contract = self.contract
        tensors = tuple(
            tensor for tensor in contract.inputs if tensor.name in inputs or tensor.name not in self.optional
        )
        dtypes = {tensor.name: tensor.dtype for tensor in tensors}
        cast = {name: self._cast(name, array, dtypes[name]) for name, array in inputs.items() if name in dtypes}
        replace(contract, inputs=tensors).sizes_of(inputs | cast)
        return cast

    def _cast(self, name: str, array: np.ndarray, dtype: str) -> np.ndarray:
        if self.datatypes[name] == TEXT:
            if array.dtype.kind not in "US":
                raise SlipwayError(f"the model takes {name} as text, not {array.dtype}; give an array of strings")
            return array.astype(object)
        cast = cast_exactly(name, array, dtype)
        # bfloat16 has the upper 16 bits of float32.
        if self.datatypes[name] == BFLOAT16 and (np.ascontiguousarray(cast).view(np.uint32) & 0xFFFF).any():
            raise SlipwayError(f"the model takes {name} as bfloat16, and values would change; round them to bfloat16")
        return cast


def find_model(connection: Connection, model: str | None, version: str) -> str:
    """Return the name `model` if this model is ready; if `model` is None, return the name of the only ready model.

    If `version` is "", any version counts. Raises SlipwayError, with the names of the ready models, if `model` is not
    ready, or if it is None and the server has no ready model or several.
    """
    if model and connection.call(connection.client.is_model_ready, model, version):
        return model
    try:
        index = connection.call(connection.client.get_model_repository_index).models
    except Restricted:
        why = f"model {model} is not ready" if model else "name the model with --model"
        raise SlipwayError(f"{why}: {connection.endpoint} keeps to itself which models it has") from None
    ready = sorted({entry.name for entry in index if entry.state == "READY"})
    if model is None and len(ready) == 1:
        return ready[0]
    raise SlipwayError(f"{why_no_model(index, model, version)} on {connection.endpoint}")


def why_no_model(
    index: Sequence[service_pb2.RepositoryIndexResponse.ModelIndex], model: str | None, version: str
) -> str:
    """Return a sentence that says why the server cannot answer requests for a model.

    `index` is the server's repository index: the state of each version of each model. If `model` is None, no model was
    named. If `version` is "", any version would do.
    """
    ready = sorted({entry.name for entry in index if entry.state == "READY"})
    ready_models = f"ready are {', '.join(ready)}" if ready else "no model is ready"
    if model is None:
        return f"name the model with --model: {ready_models}"
    own = [entry for entry in index if entry.name == model]
    versions = [entry.version for entry in own if entry.state == "READY"]
    if versions and version:
        return f"model {model} has no version {version} that is ready, but {', '.join(versions)}"
    if not own:
        return f"there is no model {model}: {ready_models}"
    reasons = "; ".join(dict.fromkeys(entry.reason for entry in own if entry.reason))
    return f"model {model} is not ready{f' ({reasons})' if reasons else ''}: {ready_models}"


def ask_model(connection: Connection, name: str, version: str) -> RemoteModel:
    """Ask the server for the metadata and configuration of the model `name`. Return them as a RemoteModel.

    If `version` is "", the server chooses the version.
    """
    metadata = connection.call(connection.client.get_model_metadata, name, version)
    config = connection.call(connection.client.get_model_config, name, version).config
    return model_of(metadata, config, version)


def model_of(
    metadata: service_pb2.ModelMetadataResponse, config: model_config_pb2.ModelConfig, version: str = ""
) -> RemoteModel:
    """Return the RemoteModel that Triton's metadata and configuration of a model describe.

    Slipway's models have a parameter `contract` in their configuration. Then the names of axes, their limits and the
    padding values come from it, since Triton's metadata have none. `version` is the version for requests; with "", the
    server chooses it.
    """
    batched = config.max_batch_size > 0
    inputs, outputs = (
        tuple(_tensor(tensor, batched) for tensor in side) for side in (metadata.inputs, metadata.outputs)
    )
    return RemoteModel(
        metadata.name,
        version,
        _named(Contract(inputs, outputs), config),
        {tensor.name: tensor.datatype for tensor in metadata.inputs},
        config.max_batch_size if batched else None,
        frozenset(tensor.name for tensor in config.input if tensor.optional),
    )


def ask(connection: Connection, model: RemoteModel, inputs: Tensors) -> Tensors:
    """Send one request to a model, and return {output: array}.

    `inputs` is {input: array} with the model's dtypes, as `RemoteModel.cast` returns it.
    """
    tensors = [
        grpc.InferInput(name, list(array.shape), model.datatypes[name]).set_data_from_numpy(array)
        for name, array in as_served(inputs, without_missing(model.contract, inputs)).items()
    ]
    result = connection.call(connection.client.infer, model.name, tensors, model.version)
    outputs = {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}
    return as_stated({name: _without_objects(array) for name, array in outputs.items()}, model.contract)


def _tensor(stated: service_pb2.ModelMetadataResponse.TensorMetadata, batched: bool) -> Tensor:
    dtype = np.dtype("float32" if stated.datatype == BFLOAT16 else triton_to_np_dtype(stated.datatype))
    sizes = [size if size >= 0 else None for size in stated.shape]
    return Tensor(stated.name, dtype.name, (BATCH, *sizes[1:]) if batched else tuple(sizes))


def _named(served: Contract, config: model_config_pb2.ModelConfig) -> Contract:
    """Return the contract that Slipway stored in the model's `config`, with the dtypes of `served`.

    The stored contract has names of axes. `served` comes from the server's metadata, without such names. If the
    configuration has no contract, or a contract with other tensors, `served` is returned.
    """
    try:
        contract = Contract.of(json.loads(config.parameters[CONTRACT].string_value))
    except (ValueError, KeyError, TypeError, SlipwayError):
        return served
    known, stated = (
        [{tensor.name: served_dims(tensor) for tensor in side} for side in (side_of.inputs, side_of.outputs)]
        for side_of in (contract, served)
    )
    return contract.of_engine(served.interface()) if known == stated else served


def _without_objects(array: np.ndarray) -> np.ndarray:
    """Return an array of Python bytes objects as an array of fixed-length bytes, which .npz files can store."""
    return np.asarray(array.tolist(), dtype=np.bytes_).reshape(array.shape) if array.dtype == object else array
