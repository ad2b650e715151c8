import numpy as np
import pytest
from helpers.models.ready_client import ReadyClient
from tritonclient.grpc.model_config_pb2 import ModelConfig

from slipway.core.errors import SlipwayError
from slipway.triton.client.grpc_client import Answer
from slipway.triton.client.smoke_test import TIMED_REQUESTS, Expected, require_tensors, smoke_test

LIMITS = {"min_cosine": 0.99, "max_relative_error": 0.01, "min_top1_agreement": 1.0}
EXPECTED = Expected("m_trt", np.zeros((1, 3, 64, 64), np.float32), np.ones((1, 7)), [""] * 7, LIMITS)
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


def test_tensors_are_told_as_triton_names_them():
    with pytest.raises(SlipwayError) as caught:
        require_tensors({"inputs": [INPUT | {"shape": ["-1", "3", "8", "8"]}], "outputs": [OUTPUT]}, EXPECTED)
    assert str(caught.value) == (
        "m_trt has the inputs input FP32 [-1, 3, 8, 8], but its golden request has input FP32 [-1, 3, 64, 64]"
    )


class Client(ReadyClient):
    """A server on which version 2 has just taken the place of version 1, whose count goes with it in between."""

    def __init__(self, answered=TIMED_REQUESTS):
        self.counts = {"1": 200, "2": 5}
        self.answered = answered

    def metadata(self):
        return {"server": "2.51.0", "inputs": [INPUT], "outputs": [OUTPUT]}

    def config(self):
        return ModelConfig(name="m_trt", backend="openvino", max_batch_size=4)

    def infer(self, batch):
        if batch.shape[1:] != EXPECTED.golden_input.shape[1:]:
            raise SlipwayError("model m_trt refused the request")
        self.counts.pop("1", None)
        if self.answered:
            self.answered -= 1
            self.counts["2"] += 1
        return Answer(np.repeat(EXPECTED.golden_logits, len(batch), axis=0), 1.0, "2")

    def successes_by_version(self):
        return dict(self.counts)

    def successes(self, version, at_least):
        return self.counts.get(version, 0)


def test_the_version_that_answers_is_counted_and_not_the_one_that_goes():
    assert smoke_test(Client(), EXPECTED)["requests_counted"] == TIMED_REQUESTS


def test_answers_that_the_server_does_not_count_are_told():
    with pytest.raises(SlipwayError, match=f"/metrics counts {TIMED_REQUESTS - 1}: something else answers"):
        smoke_test(Client(answered=TIMED_REQUESTS - 1), EXPECTED)


@pytest.mark.parametrize("content", [b"", b"noise" * 99, b"PK\x03\x04 cut"])
def test_damaged_golden_answers_are_told_in_a_sentence(tmp_path, content):
    (tmp_path / "golden.npz").write_bytes(content)
    (tmp_path / "labels.txt").touch()
    with pytest.raises(SlipwayError, match=r"the golden answers of tiny, .*golden.npz, are damaged"):
        Expected.of("tiny", tmp_path / "golden.npz", tmp_path / "labels.txt", {})
