"""A model's configuration (config.pbtxt), as Triton's own protobuf message and as text."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from google.protobuf import text_format
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
class Served:
    """A served model: its name, its engine, its tensors, and the chosen numbers of instances and batch sizes.

    `contract` has the dtypes of the engine. `profiles` are the (min, opt, max) batch sizes of a TensorRT engine's
    optimization profiles.
    """

    name: str
    runtime: str
    precision: str
    contract: Contract
    max_batch_size: int
    instances: int
    profiles: tuple[tuple[int, int, int], ...] = ()

    @property
    def traits(self) -> RuntimeTraits:
        """Return the traits of the runtime."""
        return RUNTIMES[self.runtime]

    @property
    def labelled(self) -> Tensor | None:
        """Return the first output whose values have names, those in labels.txt; None if there is none."""
        return next((tensor for tensor in self.contract.outputs if tensor.meaning and tensor.meaning.has_classes), None)


def model_config(served: Served, backend: str) -> pb.ModelConfig:
    """Return the configuration of `served` for a backend: "python" or the runtime's native one."""
    contract = served.contract
    largest = served.max_batch_size if contract.batched else 0
    config = pb.ModelConfig(name=served.name, backend=backend, max_batch_size=largest)
    _add_tensors(config, served)
    for name, value in _parameters(served, backend).items():
        config.parameters[name].string_value = value
    if contract.batched:
        # No queue policy, on purpose: with one, even only a bound on its size, the batcher of Triton 2.51 ignores
        # requests for up to 500 ms (measured: 120 requests/s with p99 503 ms, against 773/s with p99 2.5 ms).
        config.dynamic_batching.SetInParent()
    if backend == "tensorrt":
        _add_tensorrt(config, served)
    else:
        # KIND_CPU for GPU engines too: the Python backend's process opens the GPU itself, the one in
        # CUDA_VISIBLE_DEVICES. KIND_GPU would make Triton copy the input there and need a GPU in the server's own
        # process.
        on_gpu = served.traits.needs_gpu and backend != "python"
        kind = pb.ModelInstanceGroup.KIND_GPU if on_gpu else pb.ModelInstanceGroup.KIND_CPU
        config.instance_group.add(count=served.instances, kind=kind)
    if backend != "python":
        config.default_model_filename = served.traits.engine_file
    return config


def write_config(path: Path, config: pb.ModelConfig) -> None:
    """Write the text form, and check that it reads back as the same message."""
    text = text_format.MessageToString(config)
    if text_format.Parse(text, pb.ModelConfig()) != config:
        raise SlipwayError(f"{path} would not read back as the message it was written from; report this as a defect")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read_config(path: Path) -> pb.ModelConfig:
    """Read a config.pbtxt; raise SlipwayError with the line if it does not parse."""
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
    except text_format.ParseError as error:
        raise SlipwayError(f"{path} is not a Triton model configuration: {error}") from None


def _add_tensors(config: pb.ModelConfig, served: Served) -> None:
    """Add the inputs and outputs in the order of the contract."""
    contract = served.contract
    for tensor in contract.inputs:
        config.input.add(name=tensor.name, data_type=_data_type(tensor), dims=tensor.dims(contract.batched))
        if len(config.input[-1].dims) == CHANNELS_AND_SIZES and (tensor.normalisation or PREPROCESS in contract.facts):
            # Triton itself ignores the format, but its own example clients refuse an input without one.
            config.input[-1].format = pb.ModelInput.FORMAT_NCHW
    for tensor in contract.outputs:
        config.output.add(name=tensor.name, data_type=_data_type(tensor), dims=tensor.dims(contract.batched))
        if tensor == served.labelled:
            config.output[-1].label_filename = LABELS
    for tensor in [*config.input, *config.output]:
        if not tensor.dims:
            _add_axis(tensor, served)


def _add_axis(tensor: pb.ModelInput | pb.ModelOutput, served: Served) -> None:
    """Add an axis of size 1 for clients: Triton has no tensor with the batch axis alone, and none without an axis."""
    if not served.contract.batched:
        raise SlipwayError(
            f"{tensor.name} of {served.name} has no axis, and Triton serves no such tensors; let the network take or "
            "return it with one axis of size 1"
        )
    tensor.dims.append(1)
    tensor.reshape.SetInParent()


def _parameters(served: Served, backend: str) -> dict[str, str]:
    """Return the contract, the meaning of a single output and the preprocessing for clients, and the backend's own."""
    contract, traits = served.contract, served.traits
    parameters = {CONTRACT: json.dumps(replace(contract, facts={}).record())}
    if len(contract.outputs) == 1 and (meaning := contract.outputs[0].meaning):
        parameters |= meaning.parameters()
    if PREPROCESS in contract.facts:
        parameters[PREPROCESS] = json.dumps(contract.facts[PREPROCESS])
    if backend == "python":
        return parameters | {"engine": traits.engine_file, "precision": served.precision}
    return parameters | traits.native_backend.parameters | traits.native_backend.parameters_of.get(served.precision, {})


def _data_type(tensor: Tensor) -> int:
    return pb.DataType.Value(f"TYPE_{np_to_triton_dtype(np.dtype(tensor.dtype))}")


def _add_tensorrt(config: pb.ModelConfig, served: Served) -> None:
    """Add the optimization profiles and CUDA graphs for Triton's TensorRT backend; dynamic axes have their optimum."""
    contract = served.contract
    config.platform = "tensorrt_plan"
    names = [str(index) for index in range(len(served.profiles))]
    config.instance_group.add(count=served.instances, kind=pb.ModelInstanceGroup.KIND_GPU, profile=names)
    config.optimization.input_pinned_memory.enable = True
    config.optimization.output_pinned_memory.enable = True
    config.optimization.cuda.graphs = True
    # Listed one by one: without this list Triton does not know the batch sizes of the profiles.
    for batch in _graph_batches(served):
        spec = config.optimization.cuda.graph_spec.add(batch_size=batch)
        for tensor in contract.inputs:
            sizes = tensor.sizes(batch, contract.optimum)
            spec.input[tensor.name].dim.extend(sizes[1:] if contract.batched else sizes)


def _graph_batches(served: Served) -> list[int]:
    """Return the batch sizes to record as CUDA graphs: 1, each profile's opt size, the largest; 0 without batches."""
    if not served.contract.batched:
        return [0]
    largest = served.max_batch_size
    sizes = {size for size in (1, largest, *(opt for _, opt, _ in served.profiles)) if size <= largest}
    profiles = served.profiles or [(1, 1, largest)]
    return [size for size in sorted(sizes) if any(low <= size <= high for low, _, high in profiles)]
