import dataclasses
import json

import pytest
from google.protobuf import text_format
from helpers.image_client import shape_of_picture
from tritonclient.grpc import model_config_pb2 as pb

from slipway.core.errors import SlipwayError
from slipway.triton.repository.model_config import Served, model_config, read_config, write_config

OPENVINO = Served("my-model_trt", "openvino", "bf16", crop=192, classes=7, max_batch_size=16, instances=3)
ONNXRUNTIME = dataclasses.replace(OPENVINO, runtime="onnxruntime", precision="fp32")
PROFILES = ((1, 1, 1), (1, 8, 12), (8, 16, 32))
TENSORRT = dataclasses.replace(OPENVINO, runtime="tensorrt", precision="fp16", profiles=PROFILES)
RTX = dataclasses.replace(TENSORRT, runtime="tensorrt_rtx")
ON_CPU = [(OPENVINO, "python"), (OPENVINO, "openvino"), (ONNXRUNTIME, "python"), (ONNXRUNTIME, "onnxruntime")]
EVERY = [*ON_CPU, (TENSORRT, "python"), (TENSORRT, "tensorrt"), (RTX, "python")]


def parameters(config: pb.ModelConfig) -> dict[str, str]:
    return {name: value.string_value for name, value in config.parameters.items()}


@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_the_text_reads_back_equal(served, backend):
    config = model_config(served, backend)
    assert text_format.Parse(text_format.MessageToString(config), type(config)()) == config


@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_a_file_reads_back_equal(tmp_path, served, backend):
    config = model_config(served, backend)
    path = tmp_path / "below" / "config.pbtxt"
    write_config(path, config)
    assert read_config(path) == config


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_tritons_own_image_clients_take_every_configuration(served, backend, dtype):
    config = model_config(dataclasses.replace(served, input_dtype=dtype), backend)
    assert shape_of_picture(config) == (192, 192, 3, True)


@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_the_preprocessing_is_stated_to_clients(served, backend):
    stated = {"resize": 256, "crop": 192, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bicubic"}
    config = model_config(dataclasses.replace(served, preprocess=stated), backend)
    assert json.loads(parameters(config)["preprocess"]) == stated
    assert "preprocess" not in parameters(model_config(served, backend))


@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_every_field(served, backend):
    config = model_config(served, backend)
    assert config.name == "my-model_trt"
    assert config.backend == backend
    assert config.max_batch_size == 16
    [tensor] = config.input
    assert (tensor.name, tensor.data_type, list(tensor.dims)) == ("input", pb.TYPE_FP32, [3, 192, 192])
    [tensor] = config.output
    assert (tensor.name, tensor.data_type, list(tensor.dims)) == ("logits", pb.TYPE_FP32, [7])
    assert tensor.label_filename == "labels.txt"
    [group] = config.instance_group
    kind = pb.ModelInstanceGroup.KIND_GPU if backend == "tensorrt" else pb.ModelInstanceGroup.KIND_CPU
    assert (group.count, group.kind) == (3, kind)
    assert config.HasField("dynamic_batching")
    assert not config.dynamic_batching.HasField("default_queue_policy"), "it makes Triton 2.51 stall for 500 ms"


def test_the_python_backend_is_told_engine_and_precision():
    assert parameters(model_config(OPENVINO, "python")) == {"engine": "model.xml", "precision": "bf16"}
    assert parameters(model_config(ONNXRUNTIME, "python")) == {"engine": "model.onnx", "precision": "fp32"}


@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_the_input_has_the_type_that_the_model_takes(served, backend):
    assert model_config(served, backend).input[0].data_type == pb.TYPE_FP32
    pixels = dataclasses.replace(served, input_dtype="uint8")
    assert model_config(pixels, backend).input[0].data_type == pb.TYPE_UINT8


def test_tensorrt_is_given_every_profile_and_its_cuda_graphs():
    config = model_config(TENSORRT, "tensorrt")
    assert config.platform == "tensorrt_plan"
    assert config.default_model_filename == "model.plan"
    assert list(config.instance_group[0].profile) == ["0", "1", "2"]
    assert config.optimization.input_pinned_memory.enable
    assert config.optimization.output_pinned_memory.enable
    assert config.optimization.cuda.graphs
    graphs = {spec.batch_size: list(spec.input["input"].dim) for spec in config.optimization.cuda.graph_spec}
    assert graphs == {batch: [3, 192, 192] for batch in (1, 8, 16)}


def test_a_cuda_graph_is_recorded_only_where_a_profile_reaches():
    served = dataclasses.replace(TENSORRT, profiles=((4, 8, 12),))
    graphs = model_config(served, "tensorrt").optimization.cuda.graph_spec
    assert [spec.batch_size for spec in graphs] == [8], "neither 1 nor 16"


def test_tensorrt_for_rtx_has_only_the_python_backend():
    assert RTX.traits.backend == "python"
    assert parameters(model_config(RTX, "python")) == {"engine": "model.rtx", "precision": "fp16"}


def test_the_native_backend_is_told_its_file():
    assert model_config(OPENVINO, "openvino").default_model_filename == "model.xml"
    assert model_config(ONNXRUNTIME, "onnxruntime").default_model_filename == "model.onnx"


def test_openvino_is_told_to_run_in_bf16_only_when_it_should():
    fp32 = dataclasses.replace(OPENVINO, precision="fp32")
    assert parameters(model_config(OPENVINO, "openvino"))["HINT_BF16"] == "YES"
    assert "HINT_BF16" not in parameters(model_config(fp32, "openvino"))


def test_both_configurations_state_the_same_tensors():
    python, native = model_config(OPENVINO, "python"), model_config(OPENVINO, "openvino")
    assert list(python.input) == list(native.input)
    assert list(python.output) == list(native.output)
    assert python.max_batch_size == native.max_batch_size


@pytest.mark.parametrize("text", ['name: "m" max_batch_size: many', "nonsense", 'name: "m" {', 'unknown_field: "x"'])
def test_a_broken_text_is_named(tmp_path, text):
    path = tmp_path / "config.pbtxt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SlipwayError, match="not a Triton model configuration") as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_the_line_of_a_mistake_is_told(tmp_path):
    path = tmp_path / "config.pbtxt"
    path.write_text('name: "m"\nbackend: "python"\nmax_batch_size: many\n', encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"3:17"):
        read_config(path)
