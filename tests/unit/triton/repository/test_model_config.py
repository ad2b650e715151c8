import dataclasses
import json

import pytest
from google.protobuf import text_format
from helpers.image_client import shape_of_picture
from helpers.models.classifier_contract import classifier
from helpers.models.text_contract import TEXT
from tritonclient.grpc import model_config_pb2 as pb

from slipway.contract.contract import Contract, Tensor
from slipway.core.errors import SlipwayError
from slipway.triton.repository.model_config import Served, ServingOptions, model_config, read_config, write_config

CLASSIFIER = classifier("float32", 192, 7, preprocess={"resize": 224, "crop": 192})
OPENVINO = Served("my-model_trt", "openvino", "bf16", CLASSIFIER, max_batch_size=16, instances=3)
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
    config = model_config(dataclasses.replace(served, contract=classifier(dtype, 192, 7, preprocess={})), backend)
    assert shape_of_picture(config) == (192, 192, 3, True)


@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_the_preprocessing_is_stated_to_clients(served, backend):
    stated = {"resize": 256, "crop": 192, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bicubic"}
    stating = dataclasses.replace(served, contract=dataclasses.replace(CLASSIFIER, facts={"preprocess": stated}))
    config = model_config(stating, backend)
    assert json.loads(parameters(config)["preprocess"]) == stated
    silent = dataclasses.replace(served, contract=dataclasses.replace(CLASSIFIER, facts={}))
    assert "preprocess" not in parameters(model_config(silent, backend))


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
    assert parameters(model_config(OPENVINO, "python")).items() >= {"engine": "model.xml", "precision": "bf16"}.items()
    assert parameters(model_config(ONNXRUNTIME, "python"))["engine"] == "model.onnx"


@pytest.mark.parametrize(("served", "backend"), EVERY)
def test_the_input_has_the_type_that_the_model_takes(served, backend):
    assert model_config(served, backend).input[0].data_type == pb.TYPE_FP32
    pixels = dataclasses.replace(served, contract=classifier("uint8", 192, 7))
    assert model_config(pixels, backend).input[0].data_type == pb.TYPE_UINT8


EVERY_OPTION = ServingOptions(model_warmup=True, cuda_graphs=True, pinned_memory=True)


def test_nothing_that_was_not_measured_to_help_is_in_a_configuration():
    config = model_config(TENSORRT, "tensorrt")
    assert not config.model_warmup
    assert not config.optimization.cuda.graphs
    assert not config.optimization.input_pinned_memory.enable
    assert not config.optimization.output_pinned_memory.enable
    assert not model_config(OPENVINO, "openvino").model_warmup


def test_a_warm_up_runs_each_usual_batch_size_by_a_native_backend_alone():
    warmed = dataclasses.replace(TENSORRT, options=EVERY_OPTION)
    requests = model_config(warmed, "tensorrt").model_warmup
    assert [request.batch_size for request in requests] == [1, 8, 16]
    [taken] = requests[0].inputs.values()
    assert (list(taken.dims), taken.data_type, taken.zero_data) == ([3, 192, 192], pb.TYPE_FP32, True)
    assert not model_config(warmed, "python").model_warmup, "its adapter warms up itself"


def test_tensorrt_is_given_every_profile_and_its_cuda_graphs():
    config = model_config(dataclasses.replace(TENSORRT, options=EVERY_OPTION), "tensorrt")
    assert config.platform == "tensorrt_plan"
    assert config.default_model_filename == "model.plan"
    assert list(config.instance_group[0].profile) == ["0", "1", "2"]
    assert config.optimization.input_pinned_memory.enable
    assert config.optimization.output_pinned_memory.enable
    assert config.optimization.cuda.graphs
    graphs = {spec.batch_size: list(spec.input["input"].dim) for spec in config.optimization.cuda.graph_spec}
    assert graphs == {batch: [3, 192, 192] for batch in (1, 8, 16)}


def test_a_cuda_graph_is_recorded_only_where_a_profile_reaches():
    served = dataclasses.replace(TENSORRT, profiles=((4, 8, 12),), options=EVERY_OPTION)
    graphs = model_config(served, "tensorrt").optimization.cuda.graph_spec
    assert [spec.batch_size for spec in graphs] == [8], "neither 1 nor 16"


def test_tensorrt_for_rtx_has_only_the_python_backend():
    assert RTX.traits.backend == "python"
    assert parameters(model_config(RTX, "python"))["engine"] == "model.rtx"


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


TEXT_SERVED = dataclasses.replace(OPENVINO, contract=TEXT)


def test_every_tensor_of_a_model_is_stated_with_its_dtype_and_its_dynamic_axes():
    config = model_config(TEXT_SERVED, "python")
    found = [(each.name, each.data_type, list(each.dims), each.format) for each in config.input]
    plain = pb.ModelInput.FORMAT_NONE
    assert found == [
        ("input_ids", pb.TYPE_INT64, [-1], plain),
        ("attention_mask", pb.TYPE_INT64, [-1], plain),
    ]
    assert [(each.name, list(each.dims), each.label_filename) for each in config.output] == [
        ("scores", [3], "labels.txt"),
        ("embedding", [4], ""),
    ]
    assert Contract.of(json.loads(parameters(config)["contract"])) == TEXT
    assert "output_meaning" not in parameters(config), "the contract has the meaning of each of several outputs"


def test_integers_have_the_dtype_of_the_engine():
    tensors = {
        "inputs": [{"name": tensor.name, "dtype": "int32"} for tensor in TEXT.inputs],
        "outputs": [{"name": tensor.name, "dtype": tensor.dtype} for tensor in TEXT.outputs],
    }
    config = model_config(dataclasses.replace(OPENVINO, contract=TEXT.of_engine(tensors)), "python")
    assert {each.data_type for each in config.input} == {pb.TYPE_INT32}
    with pytest.raises(SlipwayError, match="the engine has the inputs input_ids, but the model has input_ids, attent"):
        TEXT.of_engine({**tensors, "inputs": tensors["inputs"][:1]})


def test_a_model_without_a_batch_axis_has_no_batches_and_no_batcher():
    whole = Contract((Tensor("image", "uint8", (3, "height", "width")),), (Tensor("boxes", "float32", (None, 4)),))
    for backend in ("python", "openvino"):
        config = model_config(dataclasses.replace(OPENVINO, contract=whole), backend)
        assert config.max_batch_size == 0
        assert not config.HasField("dynamic_batching")
        assert [list(each.dims) for each in (*config.input, *config.output)] == [[3, -1, -1], [-1, 4]]


def test_a_tensor_of_the_batch_axis_alone_has_an_axis_more_for_clients():
    flat = Contract((Tensor("length", "int64", ("batch",)),), (Tensor("value", "float32", ("batch",)),))
    config = model_config(dataclasses.replace(OPENVINO, contract=flat), "python")
    for tensor in (*config.input, *config.output):
        assert list(tensor.dims) == [1]
        assert tensor.HasField("reshape")
        assert list(tensor.reshape.shape) == []


def test_a_tensor_without_an_axis_is_refused_with_the_remedy():
    scalar = Contract((Tensor("x", "float32", (4,)),), (Tensor("loss", "float32", ()),))
    with pytest.raises(SlipwayError, match="loss of my-model_trt has no axis, and Triton serves no such tensors; let"):
        model_config(dataclasses.replace(OPENVINO, contract=scalar), "python")


def test_cuda_graphs_of_several_inputs_have_the_optimal_sizes():
    config = model_config(dataclasses.replace(TENSORRT, contract=TEXT, options=EVERY_OPTION), "tensorrt")
    for spec in config.optimization.cuda.graph_spec:
        assert {name: list(shape.dim) for name, shape in spec.input.items()} == {
            "input_ids": [4],
            "attention_mask": [4],
        }


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


def test_a_delay_of_the_batcher_is_written():
    assert not model_config(OPENVINO, "openvino").dynamic_batching.max_queue_delay_microseconds
    delayed = model_config(dataclasses.replace(OPENVINO, queue_delay_us=100), "openvino")
    assert delayed.dynamic_batching.max_queue_delay_microseconds == 100
