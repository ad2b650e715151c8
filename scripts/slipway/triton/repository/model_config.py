"""The configuration of a model in Triton (config.pbtxt), as Triton's protobuf message and as text."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.utils import np_to_triton_dtype

from slipway.contract.contract import Contract, Tensor
from slipway.core.errors import SlipwayError
from slipway.runtimes import RUNTIMES
from slipway.runtimes.traits import RuntimeTraits

# The name of the parameter with the preprocessing, for clients. The `facts` of the contract have it under this name.
PREPROCESS = "preprocess"
# The name of the parameter with the contract, for clients and the Python backend.
CONTRACT = "contract"
LABELS = "labels.txt"
# The number of axes in Triton's format NCHW, without the batch axis.
CHANNELS_AND_SIZES = 3


@dataclass(frozen=True)
class ServingOptions:
    """Options of a native backend: a backend that Triton itself has for one kind of engine, such as TensorRT's.

    Each option is off unless measurements showed a gain.

    `model_warmup`: Triton runs each batch size once before the model is ready. `cuda_graphs` and `pinned_memory` exist
    only for TensorRT's backend.
    """

    model_warmup: bool = False
    cuda_graphs: bool = False
    pinned_memory: bool = False


@dataclass(frozen=True)
class Served:
    """A model to serve: its name in Triton, its engine and tensors, and the chosen instances and maximum batch size.

    `contract` describes the inputs and outputs, with the dtypes of the engine. `profiles` are the (min, opt, max) batch
    sizes in a TensorRT engine's optimization profiles. `queue_delay_us` is how long (microseconds) a request may wait
    for other requests to form a batch.
    """

    name: str
    runtime: str
    precision: str
    contract: Contract
    max_batch_size: int
    instances: int
    profiles: tuple[tuple[int, int, int], ...] = ()
    queue_delay_us: int = 0
    options: ServingOptions = ServingOptions()

    @property
    def traits(self) -> RuntimeTraits:
        """Return the traits of the engine's runtime, such as the names of its engine file and its backend in Triton."""
        return RUNTIMES[self.runtime]

    @property
    def labelled(self) -> Tensor | None:
        """Return the first output whose values have names (in labels.txt); None if no output has names."""
        return next((tensor for tensor in self.contract.outputs if tensor.meaning and tensor.meaning.has_classes), None)


def model_config(served: Served, backend: str) -> pb.ModelConfig:
    """Return the content of config.pbtxt for a model, as Triton's ModelConfig message.

    `backend` is "python" or Triton's own backend for the engine, such as "tensorrt".
    """
    contract = served.contract
    config = {
        "name": served.name,
        "backend": backend,
        "max_batch_size": served.max_batch_size if contract.batched else 0,
        "input": [_tensor(tensor, served) for tensor in contract.inputs],
        "output": [_tensor(tensor, served) for tensor in contract.outputs],
        "parameters": {name: {"string_value": value} for name, value in _parameters(served, backend).items()},
    }
    if contract.batched:
        # There is no queue policy, on purpose: with a policy, even one that only limits the queue's size, Triton's
        # batcher (2.51) ignores requests for up to 500 ms. Measured: 120 requests/s with p99 503 ms with a policy,
        # against 773 requests/s with p99 2.5 ms without a policy.
        delay = served.queue_delay_us
        config["dynamic_batching"] = {"max_queue_delay_microseconds": delay} if delay else {}
    if backend == "tensorrt":
        config |= _of_tensorrt(served)
    else:
        # KIND_CPU for GPU engines, too: the process of the Python backend itself opens the GPU in
        # CUDA_VISIBLE_DEVICES. With KIND_GPU, Triton would copy the input to the GPU, and the server's process would
        # need a GPU, too.
        on_gpu = served.traits.needs_gpu and backend != "python"
        config["instance_group"] = [{"count": served.instances, "kind": "KIND_GPU" if on_gpu else "KIND_CPU"}]
    if backend != "python":
        config["default_model_filename"] = served.traits.engine_file
        if served.options.model_warmup:
            config["model_warmup"] = _warmup(served)
    return ParseDict(config, pb.ModelConfig())


def write_config(path: Path, config: pb.ModelConfig) -> None:
    """Write a model's configuration to `path` as text, the format of config.pbtxt. A missing folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_format.MessageToString(config), encoding="utf-8")


def read_config(path: Path) -> pb.ModelConfig:
    """Return the configuration in the config.pbtxt `path`. Raise SlipwayError, with the line, if it is not valid."""
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
    except text_format.ParseError as error:
        raise SlipwayError(f"{path} is not a Triton model configuration: {error}") from None


def _tensor(tensor: Tensor, served: Served) -> dict:
    """Return the entry for an input or output in config.pbtxt: {"name", "data_type", "dims", ...}.

    Triton needs an axis besides the batch axis, so a tensor with only the batch axis gets an axis of size 1. Raises
    SlipwayError for a tensor without any axis.
    """
    contract, dims = served.contract, tensor.dims(served.contract.batched)
    dtype = np_to_triton_dtype(np.dtype(tensor.dtype))
    stated: dict[str, Any] = {"name": tensor.name, "data_type": f"TYPE_{dtype}", "dims": dims or [1]}
    if not dims and not contract.batched:
        raise SlipwayError(
            f"{tensor.name} of {served.name} has no axis, and Triton serves no such tensors; let the network take or "
            "return it with one axis of size 1"
        )
    if not dims:
        stated["reshape"] = {}
    is_image = len(dims) == CHANNELS_AND_SIZES and (tensor.normalisation or PREPROCESS in contract.facts)
    if tensor in contract.inputs and is_image:
        # Triton ignores the format, but Triton's example clients refuse an input without a format.
        stated["format"] = "FORMAT_NCHW"
    if tensor == served.labelled:
        stated["label_filename"] = LABELS
    return stated


def _parameters(served: Served, backend: str) -> dict[str, str]:
    """Return the parameters in config.pbtxt, {name: text}, which clients and the backend read.

    They are the contract (the inputs and outputs, as JSON), the meaning of the values of a single output, the
    preprocessing, and the parameters of the backend.
    """
    contract, traits = served.contract, served.traits
    parameters = {CONTRACT: json.dumps(replace(contract, facts={}).record())}
    if len(contract.outputs) == 1 and (meaning := contract.outputs[0].meaning):
        parameters |= meaning.parameters()
    if PREPROCESS in contract.facts:
        parameters[PREPROCESS] = json.dumps(contract.facts[PREPROCESS])
    if backend == "python" or traits.native_backend is None:
        return parameters | {"engine": traits.engine_file, "precision": served.precision}
    native = traits.native_backend
    return parameters | dict(native.parameters) | dict(native.parameters_of.get(served.precision, {}))


def _of_tensorrt(served: Served) -> dict:
    """Return the entries of config.pbtxt that only the TensorRT backend has.

    They are {"platform", "instance_group" (with the optimization profiles), "optimization" (the chosen options)}.
    """
    # Triton's default is true.
    pinned = {"enable": served.options.pinned_memory}
    optimization: dict[str, dict] = {"input_pinned_memory": pinned, "output_pinned_memory": pinned}
    if served.options.cuda_graphs:
        # Each batch size is listed, because Triton does not know the batch sizes of the profiles.
        graphs = [
            {"batch_size": batch, "input": {name: {"dim": dims} for name, dims in _input_dims(served, batch).items()}}
            for batch in _usual_batches(served)
        ]
        optimization["cuda"] = {"graphs": True, "graph_spec": graphs}
    profiles = list(map(str, range(len(served.profiles))))
    return {
        "platform": "tensorrt_plan",
        "instance_group": [{"count": served.instances, "kind": "KIND_GPU", "profile": profiles}],
        "optimization": optimization,
    }


def _warmup(served: Served) -> list[dict]:
    """Return the entry `model_warmup` of config.pbtxt: a request with zeros as inputs for each batch size in use."""
    types = {tensor.name: f"TYPE_{np_to_triton_dtype(np.dtype(tensor.dtype))}" for tensor in served.contract.inputs}
    return [
        {
            "name": f"batch of {batch}",
            "batch_size": batch,
            "inputs": {
                name: {"data_type": types[name], "dims": dims or [1], "zero_data": True}
                for name, dims in _input_dims(served, batch).items()
            },
        }
        for batch in _usual_batches(served)
    ]


def _input_dims(served: Served, batch: int) -> dict[str, list[int]]:
    """Return {input: its shape without the batch axis} for requests with `batch` samples.

    Each dynamic axis has the size for which the engine is tuned.
    """
    contract = served.contract
    sizes = {tensor.name: list(tensor.sizes(batch, contract.optimum)) for tensor in contract.inputs}
    return {name: shape[1:] if contract.batched else shape for name, shape in sizes.items()}


def _usual_batches(served: Served) -> list[int]:
    """Return the batch sizes in use: 1, `opt` of each profile, the maximum; [0] without a batch axis."""
    if not served.contract.batched:
        return [0]
    largest = served.max_batch_size
    sizes = {size for size in (1, largest, *(opt for _, opt, _ in served.profiles)) if size <= largest}
    profiles = served.profiles or [(1, 1, largest)]
    return [size for size in sorted(sizes) if any(low <= size <= high for low, _, high in profiles)]
