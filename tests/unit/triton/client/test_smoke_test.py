import dataclasses

import numpy as np
import pytest
from helpers.models.classifier_contract import reference_of
from helpers.models.ready_client import ReadyClient
from helpers.models.text_contract import TEXT, TEXTS
from tritonclient.grpc.model_config_pb2 import ModelConfig

from slipway.contract.contract import Contract, Tensor
from slipway.core.errors import SlipwayError
from slipway.outputs.variation import variations
from slipway.triton.client.grpc_client import Answer
from slipway.triton.client.smoke_test import TIMED_REQUESTS, Expected, of_wrong_shape, require_tensors, smoke_test

LIMITS = {"min_cosine": 0.99, "max_relative_error": 0.01, "min_top1_agreement": 1.0}
LOGITS = np.ones((1, 7), np.float32)
EXPECTED = Expected("m_trt", reference_of(np.zeros((1, 3, 64, 64), np.float32), LOGITS), [""] * 7, LIMITS)
PIXELS = Expected("m_trt", reference_of(np.zeros((1, 3, 64, 64), np.uint8), LOGITS), [""] * 7, {})
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
        "m_trt has the inputs input FP32 [-1, 3, 8, 8], but its reference request has input FP32 [-1, 3, 64, 64]"
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

    def infer(self, inputs):
        if inputs["input"].shape[1:] != (3, 64, 64):
            raise SlipwayError("model m_trt refused the request")
        self.counts.pop("1", None)
        if self.answered:
            self.answered -= 1
            self.counts["2"] += 1
        return Answer({"logits": np.repeat(LOGITS, len(inputs["input"]), axis=0)}, 1.0, "2")

    def successes_by_version(self):
        return dict(self.counts)

    def successes(self, version, at_least):
        return self.counts.get(version, 0)


def test_the_version_that_answers_is_counted_and_not_the_one_that_goes():
    assert smoke_test(Client(), EXPECTED)["requests_counted"] == TIMED_REQUESTS


def test_answers_that_the_server_does_not_count_are_told():
    with pytest.raises(SlipwayError, match=f"/metrics counts {TIMED_REQUESTS - 1}: another server answers"):
        smoke_test(Client(answered=TIMED_REQUESTS - 1), EXPECTED)


@pytest.mark.parametrize("content", [b"", b"noise" * 99, b"PK\x03\x04 cut"])
def test_damaged_reference_outputs_are_told_in_a_sentence(tmp_path, content):
    (tmp_path / "reference_outputs.npz").write_bytes(content)
    (tmp_path / "labels.txt").touch()
    with pytest.raises(SlipwayError, match=r"the reference outputs .*reference_outputs.npz are missing or damaged"):
        Expected.of("tiny", tmp_path / "reference_outputs.npz", tmp_path / "labels.txt", {}, None)


TEXT_EXPECTED = Expected("text", TEXTS, ["a", "b", "c"], LIMITS)
IDS, MASK = ({"name": name, "datatype": "INT64", "shape": ["-1", "-1"]} for name in ("input_ids", "attention_mask"))
SCORES = {"name": "scores", "datatype": "FP32", "shape": ["-1", "3"]}
EMBEDDING = {"name": "embedding", "datatype": "FP32", "shape": ["-1", "4"]}


def test_every_tensor_of_a_contract_is_expected_with_its_dynamic_axes():
    require_tensors({"inputs": [IDS, MASK], "outputs": [SCORES, EMBEDDING]}, TEXT_EXPECTED)
    with pytest.raises(SlipwayError, match=r"text has the outputs scores FP32 \[-1, 3\], but .*embedding FP32"):
        require_tensors({"inputs": [IDS, MASK], "outputs": [SCORES]}, TEXT_EXPECTED)


def test_an_engine_with_narrower_integers_is_expected_and_asked_with_its_own():
    narrow = tuple(dataclasses.replace(tensor, dtype="int32") for tensor in TEXT.inputs)
    expected = dataclasses.replace(TEXT_EXPECTED, served=dataclasses.replace(TEXT, inputs=narrow))
    stated = {"inputs": [IDS | {"datatype": "INT32"}, MASK | {"datatype": "INT32"}], "outputs": [SCORES, EMBEDDING]}
    require_tensors(stated, expected)
    assert {array.dtype.name for array in expected.request.values()} == {"int32"}
    with pytest.raises(SlipwayError, match="INT64"):
        require_tensors(stated, TEXT_EXPECTED)


def test_a_wrong_value_in_any_output_is_found():
    reference = TEXTS.request.outputs
    assert TEXT_EXPECTED.agreement(reference)["relative_error"] == 0
    wrong = TEXT_EXPECTED.agreement(reference | {"embedding": reference["embedding"] * 2})
    assert wrong["relative_error"] == wrong["outputs"]["embedding"]["relative_error"] == pytest.approx(1)
    assert wrong["outputs"]["scores"]["relative_error"] == 0


@pytest.mark.parametrize("embedding", [np.zeros((1, 5), np.float32), None])
def test_an_output_of_another_shape_or_none_is_told(embedding):
    given = {"scores": TEXTS.request.outputs["scores"], "embedding": embedding}
    outputs = {name: array for name, array in given.items() if array is not None}
    with pytest.raises(SlipwayError, match="output embedding"):
        TEXT_EXPECTED.agreement(outputs)


def test_a_wrong_request_is_longer_where_a_size_is_fixed_and_else_has_an_axis_more():
    name, wrong = of_wrong_shape(EXPECTED.contract, EXPECTED.request)
    assert (name, wrong.shape) == ("input", (1, 3, 64, 65))
    name, wrong = of_wrong_shape(TEXT, TEXTS.request.inputs)
    assert (name, wrong.shape) == ("input_ids", (1, 3, 1))
    mixed = Contract((*TEXT.inputs, Tensor("table", "float32", ("batch", 1))), TEXT.outputs, TEXT.axes)
    name, wrong = of_wrong_shape(mixed, TEXTS.request.inputs | {"table": np.zeros((1, 1), np.float32)})
    assert (name, wrong.shape) == ("table", (1, 2))


def test_answers_that_hardly_differ_in_one_output_are_told():
    same = [dataclasses.replace(sample, outputs=TEXTS.request.outputs) for sample in TEXTS.samples]
    flat = dataclasses.replace(TEXT_EXPECTED, reference=dataclasses.replace(TEXTS, samples=tuple(same)))
    varied, unvaried, single = (variations(each.reference.outputs) for each in (TEXT_EXPECTED, flat, EXPECTED))
    assert min(unvaried.values()) == 0 < min(varied.values())
    assert single == {}
