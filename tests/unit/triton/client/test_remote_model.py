"""What a client makes of a server's description of a model, its own or another program's."""

import dataclasses
import json

import numpy as np
import pytest
from helpers.models.text_engine import TEXT, text_of
from tritonclient.grpc import model_config_pb2, service_pb2

from slipway.core.errors import SlipwayError
from slipway.triton.client.remote_model import model_of
from slipway.triton.client.sample_batches import answers_to

IDS = {name: ("INT64", [-1, -1]) for name in ("input_ids", "attention_mask")}
OUTPUTS = {"scores": ("FP32", [-1, 3]), "tokens": ("FP32", [-1, -1, 4]), "length": ("INT64", [-1, 1])}


def described(inputs, outputs, max_batch=4, contract=None, optional=()):
    """Return the model that a server's metadata make: {name: (datatype, shape)} of inputs and outputs."""
    metadata = service_pb2.ModelMetadataResponse(name="m")
    config = model_config_pb2.ModelConfig(name="m", max_batch_size=max_batch)
    for tensors, side in ((inputs, metadata.inputs), (outputs, metadata.outputs)):
        for name, (datatype, shape) in tensors.items():
            side.add(name=name, datatype=datatype, shape=shape)
    for name in inputs:
        config.input.add(name=name, optional=name in optional)
    if contract is not None:
        config.parameters["contract"].string_value = contract
    return model_of(metadata, config)


def test_the_contract_of_the_server_names_axes_their_limits_and_the_padding():
    model = described(IDS, OUTPUTS, contract=json.dumps(TEXT.record()))
    assert model.contract == TEXT
    assert model.max_batch == 4


def test_dtypes_are_those_that_the_server_states():
    model = described(
        {name: ("INT32", shape) for name, (_, shape) in IDS.items()}, OUTPUTS, contract=json.dumps(TEXT.record())
    )
    assert {array.dtype.name for array in model.cast(text_of(1, 2)).values()} == {"int32"}
    with pytest.raises(SlipwayError, match="takes input_ids as int32, and values of this int64 would change"):
        model.cast(text_of(2**31))


@pytest.mark.parametrize(
    "contract",
    [
        None,
        "",
        "poetry",
        "[]",
        '{"inputs": []}',
        json.dumps(dataclasses.replace(TEXT, inputs=TEXT.inputs[:1]).record()),
        json.dumps(dataclasses.replace(TEXT, outputs=TEXT.outputs[:2]).record()),
    ],
)
def test_without_a_contract_that_fits_the_metadata_count(contract):
    model = described(IDS, OUTPUTS, contract=contract)
    assert [tensor.shape for tensor in model.contract.inputs] == [("batch", None), ("batch", None)]
    model.cast(text_of(*range(99)))
    with pytest.raises(SlipwayError, match=r"the input input_ids is int64 \(3,\), but the model takes input_ids int64"):
        model.cast(text_of(1, 2, 3) | {"input_ids": np.int64([1, 2, 3])})


def test_a_request_may_lack_an_optional_input_and_no_other():
    model = described(IDS, OUTPUTS, optional=["attention_mask"])
    assert list(model.cast({"input_ids": np.int64([[1]])})) == ["input_ids"]
    with pytest.raises(SlipwayError, match="the inputs are attention_mask, but the model takes input_ids"):
        model.cast({"attention_mask": np.int64([[1]])})
    with pytest.raises(SlipwayError, match="the inputs are input_ids, other, but"):
        model.cast({"input_ids": np.int64([[1]]), "other": np.int64([[1]])})


def test_text_is_sent_as_text_and_numbers_are_not():
    model = described({"text": ("BYTES", [-1, 1])}, OUTPUTS)
    assert model.cast({"text": np.array([["a"], ["bcd"]])})["text"].tolist() == [["a"], ["bcd"]]
    with pytest.raises(SlipwayError, match="takes text as text, not float64; give an array of strings"):
        model.cast({"text": np.array([[1.0]])})


def test_bfloat16_loses_no_digits_in_silence():
    model = described({"x": ("BF16", [-1, 2])}, OUTPUTS)
    assert model.cast({"x": np.float64([[0.5, -3]])})["x"].dtype == np.float32
    with pytest.raises(SlipwayError, match="takes x as bfloat16, and values would change"):
        model.cast({"x": np.float32([[0.1, 1]])})


def asked(samples, contract, largest=4):
    """Return the shapes of what is asked for samples, whose answers are the ids as tokens."""
    shapes = []

    def ask(inputs):
        shapes.append(inputs["input_ids"].shape)
        return {"tokens": np.repeat(inputs["input_ids"][..., None], 4, axis=2)}

    answers = answers_to(samples, contract, largest, ask)
    for sample, answer in zip(samples, answers, strict=True):
        assert np.array_equal(answer["tokens"][..., 0], sample["input_ids"])
    return shapes


SAMPLES = [text_of(1, 2), text_of(3), text_of(4, 5, 6), text_of(7), text_of(8)]


def test_samples_of_several_lengths_share_a_request_only_where_padding_is_allowed():
    assert asked(SAMPLES, TEXT) == [(4, 3), (1, 1)]
    stiff = dataclasses.replace(TEXT, inputs=tuple(dataclasses.replace(each, pad=None) for each in TEXT.inputs))
    assert asked(SAMPLES, stiff) == [(1, 2), (1, 1), (1, 3), (2, 1)]


def test_an_output_of_unknown_size_forbids_padding_since_nobody_can_cut_it_back():
    unknown = tuple(dataclasses.replace(each, shape=("batch", None, 4)) for each in TEXT.outputs)
    assert asked(SAMPLES, dataclasses.replace(TEXT, outputs=unknown)) == [(1, 2), (1, 1), (1, 3), (2, 1)]


@pytest.mark.parametrize("answer", [np.zeros((1, 3)), np.float32(1)])
def test_a_model_that_does_not_answer_each_sample_is_told(answer):
    with pytest.raises(SlipwayError, match="the model answers 2 samples with scores of the shape"):
        answers_to([text_of(1), text_of(2)], TEXT, 4, lambda _: {"scores": answer})


def test_answers_of_several_sizes_to_the_rows_of_one_request_are_told_with_the_remedy():
    rows = {name: np.repeat(array, 2, axis=0) for name, array in text_of(1).items()}
    sizes = iter([1, 2])
    with pytest.raises(SlipwayError, match=r'boxes of several sizes, .*name the arrays "<number>/<input>"'):
        answers_to([rows], TEXT, 1, lambda _: {"boxes": np.zeros((1, next(sizes), 4))})
