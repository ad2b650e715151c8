"""A model's configuration (config.pbtxt), as Triton's own protobuf message and as text."""

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

# The parameter with the preprocessing, for clients. The contract has it among its facts.
PREPROCESS = "preprocess"
# The parameter with the contract, for clients and the Python backend.
CONTRACT = "contract"
LABELS = "labels.txt"
# The axes of Triton's format NCHW, without the batch axis.
CHANNELS_AND_SIZES = 3


@dataclass(frozen=True)
class ServingOptions:
    """Options of a native backend. They are in config.pbtxt only if they were measured to help.

    `model_warmup`: Triton runs each batch size once before the model is ready. `cuda_graphs` and `pinned_memory` are of
    TensorRT's backend.
    """

    model_warmup: bool = False
    cuda_graphs: bool = False
    pinned_memory: bool = False


@dataclass(frozen=True)
class Served:
    """A served model: its name, its engine, its tensors, and the chosen numbers of instances and batch sizes.

    `contract` has the dtypes of the engine. `profiles` are the (min, opt, max) batch sizes of a TensorRT engine's
    optimization profiles. `queue_delay_us` is how long a request may wait for others to form a batch.
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
        """Return the traits of the runtime."""
        return RUNTIMES[self.runtime]

    @property
    def labelled(self) -> Tensor | None:
        """Return the first output whose values have names (in labels.txt); None if there is none."""
        return next((tensor for tensor in self.contract.outputs if tensor.meaning and tensor.meaning.has_classes), None)


def model_config(served: Served, backend: str) -> pb.ModelConfig:
    """Return the configuration of `served` for a backend: "python" or the runtime's native one."""
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
        # No queue policy, on purpose: with one, even only a bound on its size, the batcher of Triton 2.51 ignores
        # requests for up to 500 ms (measured: 120 requests/s with p99 503 ms, against 773/s with p99 2.5 ms).
        delay = served.queue_delay_us
        config["dynamic_batching"] = {"max_queue_delay_microseconds": delay} if delay else {}
    if backend == "tensorrt":
        config |= _of_tensorrt(served)
    else:
        # KIND_CPU for GPU engines too: the Python backend's process opens the GPU itself, the one in
        # CUDA_VISIBLE_DEVICES. KIND_GPU would make Triton copy the input there and need a GPU in the server's own
        # process.
        on_gpu = served.traits.needs_gpu and backend != "python"
        config["instance_group"] = [{"count": served.instances, "kind": "KIND_GPU" if on_gpu else "KIND_CPU"}]
    if backend != "python":
        config["default_model_filename"] = served.traits.engine_file
        if served.options.model_warmup:
            config["model_warmup"] = _warmup(served)
    return ParseDict(config, pb.ModelConfig())


def write_config(path: Path, config: pb.ModelConfig) -> None:
    """Write a configuration as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_format.MessageToString(config), encoding="utf-8")


def read_config(path: Path) -> pb.ModelConfig:
    """Read a config.pbtxt; raise SlipwayError with the line if it does not parse."""
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
    except text_format.ParseError as error:
        raise SlipwayError(f"{path} is not a Triton model configuration: {error}") from None


def _tensor(tensor: Tensor, served: Served) -> dict:
    """Return the entry of an input or output. A tensor with only the batch axis gets an axis of size 1.

    Triton needs an axis besides the batch axis. Raises SlipwayError for a tensor without any axis.
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
        # Triton itself ignores the format, but its own example clients refuse an input without one.
        stated["format"] = "FORMAT_NCHW"
    if tensor == served.labelled:
        stated["label_filename"] = LABELS
    return stated


def _parameters(served: Served, backend: str) -> dict[str, str]:
    """Return {parameter: value}: the contract, a single output's meaning, the preprocessing, and the backend's own."""
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
    """Return the entries of Triton's TensorRT backend: optimization profiles, and the options that are taken."""
    # Triton's own default is pinned memory.
    pinned = {"enable": served.options.pinned_memory}
    optimization: dict[str, dict] = {"input_pinned_memory": pinned, "output_pinned_memory": pinned}
    if served.options.cuda_graphs:
        # Listed one by one: without this list Triton does not know the batch sizes of the profiles.
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
    """Return the requests of zeros that Triton runs before the model is ready, one for each usual batch size."""
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
    """Return {input: its sizes at the axes' optimum, without the batch axis}."""
    contract = served.contract
    sizes = {tensor.name: list(tensor.sizes(batch, contract.optimum)) for tensor in contract.inputs}
    return {name: shape[1:] if contract.batched else shape for name, shape in sizes.items()}


def _usual_batches(served: Served) -> list[int]:
    """Return the batch sizes in use: 1, each profile's opt, the largest; [0] without a batch axis."""
    if not served.contract.batched:
        return [0]
    largest = served.max_batch_size
    sizes = {size for size in (1, largest, *(opt for _, opt, _ in served.profiles)) if size <= largest}
    profiles = served.profiles or [(1, 1, largest)]
    return [size for size in sorted(sizes) if any(low <= size <= high for low, _, high in profiles)]
