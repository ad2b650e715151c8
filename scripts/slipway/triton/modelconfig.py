"""A model's configuration for Triton, as Triton's own protobuf message and its text form."""

from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from slipway.errors import SlipwayError

INPUT, OUTPUT = "input", "logits"
# The native backend of a runtime, and the file name that it loads.
NATIVE = {"openvino": ("openvino", "model.xml"), "onnxruntime": ("onnxruntime", "model.onnx")}


@dataclass(frozen=True)
class Served:
    """A model as it is served: its name, tensors, engine, and how many copies and how large batches were chosen."""

    name: str
    runtime: str
    precision: str
    crop: int
    classes: int
    max_batch_size: int
    instances: int

    @property
    def engine_file(self) -> str:
        """Return the engine's name in the version folder."""
        return NATIVE[self.runtime][1]


def model_config(served: Served, backend: str) -> pb.ModelConfig:
    """Return the configuration of `served` for a backend: "python" or the runtime's native one."""
    config = pb.ModelConfig(name=served.name, backend=backend, max_batch_size=served.max_batch_size)
    config.input.add(name=INPUT, data_type=pb.TYPE_FP32, dims=[3, served.crop, served.crop])
    config.output.add(name=OUTPUT, data_type=pb.TYPE_FP32, dims=[served.classes], label_filename="labels.txt")
    config.instance_group.add(count=served.instances, kind=pb.ModelInstanceGroup.KIND_CPU)
    # Left plain on purpose: with a queue policy, even a bound on its size, the batcher of Triton 2.51 sleeps through
    # requests for up to 500 ms (measured: 120 requests/s with p99 503 ms, against 773/s with p99 2.5 ms).
    config.dynamic_batching.SetInParent()
    if backend == "python":
        config.parameters["engine"].string_value = served.engine_file
        config.parameters["precision"].string_value = served.precision
    else:
        config.default_model_filename = served.engine_file
        for name, value in _native_parameters(served).items():
            config.parameters[name].string_value = value
    return config


def write_config(path: Path, config: pb.ModelConfig) -> None:
    """Write the text form, and make sure that it reads back as the same message."""
    text = text_format.MessageToString(config)
    if read_text(text) != config:
        raise SlipwayError(f"{path} would not read back as the message it was written from; report this as a defect")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read_config(path: Path) -> pb.ModelConfig:
    """Read a config.pbtxt; raise SlipwayError with the line when it does not parse."""
    try:
        return read_text(Path(path).read_text(encoding="utf-8"))
    except text_format.ParseError as error:
        raise SlipwayError(f"{path} is not a Triton model configuration: {error}") from None


def read_text(text: str) -> pb.ModelConfig:
    """Parse the text form of a model configuration."""
    return text_format.Parse(text, pb.ModelConfig())


def _native_parameters(served: Served) -> dict[str, str]:
    if served.runtime == "openvino":
        threads = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        return threads | ({"HINT_BF16": "YES"} if served.precision == "bf16" else {})
    return {}
