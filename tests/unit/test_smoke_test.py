import numpy as np
import pytest

from slipway.errors import SlipwayError
from slipway.triton.smoke_test import Expected, require_tensors

EXPECTED = Expected("m_trt", np.zeros((1, 3, 64, 64), np.float32), np.zeros((1, 7)), [""] * 7, {})
PIXELS = Expected("m_trt", np.zeros((1, 3, 64, 64), np.uint8), np.zeros((1, 7)), [""] * 7, {})
INPUT = {"name": "input", "datatype": "FP32", "shape": ["-1", "3", "64", "64"]}
OUTPUT = {"name": "logits", "datatype": "FP32", "shape": ["-1", "7"]}


def test_the_expected_tensors_are_accepted():
    require_tensors({"inputs": [INPUT], "outputs": [OUTPUT]}, EXPECTED)


def test_a_model_of_pixels_must_take_pixels():
    require_tensors({"inputs": [INPUT | {"datatype": "UINT8"}], "outputs": [OUTPUT]}, PIXELS)
    with pytest.raises(SlipwayError, match=r"has the inputs .*FP32.* but .*UINT8"):
        require_tensors({"inputs": [INPUT], "outputs": [OUTPUT]}, PIXELS)


@pytest.mark.parametrize(
    ("side", "found"),
    [
        ("inputs", [INPUT | {"name": "data"}]),
        ("inputs", [INPUT | {"datatype": "FP16"}]),
        ("inputs", [INPUT | {"shape": ["-1", "3", "96", "96"]}]),
        ("inputs", [INPUT, INPUT | {"name": "other"}]),
        ("inputs", []),
        ("outputs", [OUTPUT | {"shape": ["-1", "8"]}]),
        ("outputs", [OUTPUT | {"name": "output"}]),
    ],
)
def test_other_tensors_are_named(side, found):
    stated = {"inputs": [INPUT], "outputs": [OUTPUT]} | {side: found}
    with pytest.raises(SlipwayError, match=f"m_trt has the {side}"):
        require_tensors(stated, EXPECTED)
