import pytest

from slipway.runtimes.tensorrt import inspector


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
