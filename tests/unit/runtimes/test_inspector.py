import sys

import pytest
from helpers.gpu_stand_in import write_engine
from helpers.gpu_stand_in.asking import TWO_PROFILES

from slipway.runtimes.tensorrt import inspector
from slipway.runtimes.tensorrt.inspector import layer_text, read_layer


def layer(kind="CaskConvolution", parameter="Convolution", weights="Half", datatype="Row major linear FP32"):
    """Return a layer as the engine inspector describes it."""
    return {
        "Name": "conv1",
        "LayerType": kind,
        "ParameterType": parameter,
        "Inputs": [{"Name": "x", "Format/Datatype": datatype}],
        **({"Weights": {"Type": weights, "Count": 9408}} if weights else {}),
    }


@pytest.mark.parametrize(
    ("weights", "precision"),
    [("Half", "fp16"), ("Float", "fp32"), ("Int8", "int8"), ("BFloat16", "bf16"), ("FP8", "fp8")],
)
def test_the_precision_is_that_of_the_weights(weights, precision):
    assert inspector.precision_of(layer(weights=weights)) == precision


@pytest.mark.parametrize(
    ("datatype", "precision"),
    [
        ("Channel major FP16 format where channel % 8 == 0", "fp16"),
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Row major linear BFloat16 format", "bf16"),
        ("Row major linear FP32", "fp32"),
    ],
)
def test_without_weights_it_is_that_of_the_input(datatype, precision):
    assert inspector.precision_of(layer(weights=None, datatype=datatype)) == precision


def test_what_states_no_type_is_unknown():
    assert inspector.precision_of(layer(weights=None, datatype="N/A due to dynamic shapes")) == "unknown"


@pytest.mark.parametrize(
    ("kind", "parameter"), [("CaskConvolution", "Convolution"), ("gemm", ""), ("MatrixMultiply", "")]
)
def test_compute_layers_are_counted(kind, parameter):
    assert inspector.is_compute(layer(kind=kind, parameter=parameter))


@pytest.mark.parametrize(("kind", "parameter"), [("Reformat", "Reformat"), ("CaskPooling", "Pooling"), ("NoOp", "")])
def test_others_are_not(kind, parameter):
    assert not inspector.is_compute(layer(kind=kind, parameter=parameter))


FUSED = {"Name": "{ForeignNode[embed...classify]}", "LayerType": "Myelin", "Inputs": [], "Outputs": []}
CHOICE = {"Name": "choice", "LayerType": "TopK"}


@pytest.mark.parametrize(
    ("layers", "counted"),
    [
        ([FUSED, CHOICE, FUSED], {"fused": 2}),
        ([FUSED, layer()], {"fp16": 1}),
        ([CHOICE], {}),
    ],
    ids=["all fused", "fused in part", "no compute"],
)
def test_a_part_that_is_fused_whole_counts_only_where_no_layer_tells_its_precision(layers, counted):
    assert inspector.count_by_precision(layers) == counted


# Text as releases write it: control characters of 8.6, text that is no JSON.
SPOILT = {
    "a control character in a name": '{"Name": "conv1\x1econv2", "LayerType": "conv", "Weights": {"Type": "Half"}}',
    "a line end in the metadata": '{"Name": "c", "LayerType": "conv", "Meta": "[ONNX\n]", "Weights": {"Type": "Half"}}',
    "a comma too much": '{"Name": "c", "LayerType": "conv", "Weights": {"Type": "Half",},}',
    "a comma too few": '{"Name": "c" "LayerType": "conv" "Weights": {"Type": "Half"}}',
    "a quote in a name": '{"Name": "c"1", "LayerType": "conv", "Weights": {"Type": "Half"}}',
    "cut short": '{"Name": "c", "LayerType": "conv", "Weights": {"Type": "Half", "Cou',
    "a number that is none": '{"Name": "c", "LayerType": "conv", "Scale": -nan, "Weights": {"Type": "Half"}}',
}


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT.keys())
def test_text_that_a_release_spoilt_still_tells_the_precision(text):
    read = read_layer(text)
    assert inspector.is_compute(read)
    assert inspector.precision_of(read) == "fp16"


def test_what_is_no_json_is_kept_whole():
    text = SPOILT["cut short"]
    assert read_layer(text)["unread"] == text
    assert "unread" not in read_layer(SPOILT["a control character in a name"])


@pytest.mark.parametrize("text", ["conv1", "\x00\xff", "[1, 2]", '"conv1"', "{}"])
def test_text_without_any_field_is_a_layer_of_which_nothing_is_known(text):
    read = read_layer(text)
    assert not inspector.is_compute(read)


class Form:
    JSON, ONELINE = "json", "one line"


class TensorRT:
    LayerInformationFormat = Form


class Inspector:
    """Its JSON of the layers in `broken` cannot be decoded."""

    broken = (1,)

    def get_layer_information(self, index, form):
        if form == Form.JSON and index in self.broken:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return f"layer {index} as {form}"


def test_where_the_json_is_no_text_the_one_line_is_taken():
    assert [layer_text(TensorRT, Inspector(), index) for index in (0, 1)] == ["layer 0 as json", "layer 1 as one line"]


def test_the_layers_of_the_first_profile_are_counted(gpu, tmp_path):
    path = write_engine(tmp_path / "m.trt", profiles=TWO_PROFILES)
    found = inspector.describe(sys.modules["tensorrt"], path.read_bytes(), path)
    assert (found["layers"], len(found["profiles"])) == ({"fp16": 1}, 2)
