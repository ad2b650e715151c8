"""A model's configuration (config.pbtxt), as Triton's own protobuf message and as text."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.utils import np_to_triton_dtype

from slipway.core.errors import SlipwayError
from slipway.onnx.tensor_names import INPUT, OUTPUT
from slipway.outputs.meaning import Meaning
from slipway.runtimes import RUNTIMES
from slipway.runtimes.traits import RuntimeTraits

PREPROCESS = "preprocess"  # the parameter with the preprocessing, for clients


@dataclass(frozen=True)
class Served:
    """A served model: its name, its tensors, its engine, and the chosen numbers of instances and batch sizes.

    `profiles` are the (min, opt, max) batch sizes of a TensorRT engine's optimization profiles. `meaning` describes the
    outputs, and `preprocess` has the preprocessing settings, as in config.yaml. Both become parameters; None for a
    model that only the load test uses.
    """

    name: str
    runtime: str
    precision: str
    crop: int
    classes: int
    max_batch_size: int
    instances: int
    input_dtype: str = "float32"
    profiles: tuple[tuple[int, int, int], ...] = ()
    meaning: Meaning | None = None
    preprocess: dict | None = None

    @property
    def traits(self) -> RuntimeTraits:
        """Return the traits of the runtime."""
        return RUNTIMES[self.runtime]

    @property
    def input_shape(self) -> list[int]:
        """Return the input's shape without the batch dimension: [3, H, W]."""
        return [3, self.crop, self.crop]


def model_config(served: Served, backend: str) -> pb.ModelConfig:
    """Return the configuration of `served` for a backend: "python" or the runtime's native one."""
    config = pb.ModelConfig(name=served.name, backend=backend, max_batch_size=served.max_batch_size)
    # Triton itself ignores the format, but its own image clients refuse an input without one.
    layout = pb.ModelInput.FORMAT_NCHW
    input_type = pb.DataType.Value(f"TYPE_{np_to_triton_dtype(np.dtype(served.input_dtype))}")
    config.input.add(name=INPUT, data_type=input_type, format=layout, dims=served.input_shape)
    config.output.add(name=OUTPUT, data_type=pb.TYPE_FP32, dims=[served.classes])
    if served.meaning is None or served.meaning.has_classes:
        config.output[0].label_filename = "labels.txt"
    for name, value in (served.meaning.parameters() if served.meaning else {}).items():
        config.parameters[name].string_value = value
    if served.preprocess:
        config.parameters[PREPROCESS].string_value = json.dumps(served.preprocess)
    # No queue policy, on purpose: with one, even only a bound on its size, the batcher of Triton 2.51 ignores requests
    # for up to 500 ms (measured: 120 requests/s with p99 503 ms, against 773/s with p99 2.5 ms).
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
    if backend == "python":
        config.parameters["engine"].string_value = served.traits.engine_file
        config.parameters["precision"].string_value = served.precision
    else:
        config.default_model_filename = served.traits.engine_file
        native = served.traits.native_backend
        for name, value in {**native.parameters, **native.parameters_of.get(served.precision, {})}.items():
            config.parameters[name].string_value = value
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


def _add_tensorrt(config: pb.ModelConfig, served: Served) -> None:
    """Add the optimization profiles and CUDA graphs for Triton's TensorRT backend."""
    config.platform = "tensorrt_plan"
    names = [str(index) for index in range(len(served.profiles))]
    config.instance_group.add(count=served.instances, kind=pb.ModelInstanceGroup.KIND_GPU, profile=names)
    config.optimization.input_pinned_memory.enable = True
    config.optimization.output_pinned_memory.enable = True
    config.optimization.cuda.graphs = True
    # Listed one by one: without this list Triton does not know the batch sizes of the profiles.
    for batch in _graph_batches(served):
        spec = config.optimization.cuda.graph_spec.add(batch_size=batch)
        spec.input[INPUT].dim.extend(served.input_shape)


def _graph_batches(served: Served) -> list[int]:
    """Return the batch sizes to record as CUDA graphs: 1, each profile's opt size, the largest; only served sizes."""
    sizes = {1, served.max_batch_size, *(opt for _, opt, _ in served.profiles)}
    ranges = [(low, high) for low, _, high in served.profiles] or [(1, served.max_batch_size)]
    served_sizes = [size for size in sorted(sizes) if size <= served.max_batch_size]
    return [size for size in served_sizes if any(low <= size <= high for low, high in ranges)]
