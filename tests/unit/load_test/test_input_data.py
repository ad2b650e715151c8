"""Samples as perf_analyzer sends them."""

import base64
import dataclasses
import json

import numpy as np
import pytest
from helpers.models.classifier_contract import classifier
from helpers.models.text_engine import TEXT, WHOLE, text_of

from slipway.load_test.model_analyzer import can_log_requests, write_input_data


def sent(path, samples, contract):
    """Return what perf_analyzer sends for each sample: {input: (bytes, shape)}."""
    write_input_data(path / "data.json", samples, contract)
    entries = json.loads((path / "data.json").read_text(encoding="utf-8"))["data"]
    return [
        {name: (base64.b64decode(value["content"]["b64"]), value["shape"]) for name, value in entry.items()}
        for entry in entries
    ]


def test_each_sample_keeps_its_length_and_has_the_dtype_of_the_engine(tmp_path):
    narrow = tuple(dataclasses.replace(tensor, dtype="int32") for tensor in TEXT.inputs)
    short, long = sent(tmp_path, [text_of(5), text_of(1, 2, 3)], dataclasses.replace(TEXT, inputs=narrow))
    assert short["input_ids"] == (np.int32([5]).tobytes(), [1])
    assert long["input_ids"] == (np.int32([1, 2, 3]).tobytes(), [3])


def test_a_request_without_a_batch_axis_is_sent_whole(tmp_path):
    sample = {"signal": np.zeros((2, 3), np.float32), "gain": np.float32([2])}
    (whole,) = sent(tmp_path, [sample], WHOLE)
    assert whole == {"signal": (bytes(24), [2, 3]), "gain": (np.float32([2]).tobytes(), [1])}


@pytest.mark.parametrize(("crop", "classes", "is_small"), [(16, 5, True), (16, 1000, False), (224, 5, False)])
def test_the_times_of_requests_are_logged_only_where_requests_and_answers_are_small(crop, classes, is_small):
    sample = {"input": np.zeros((1, 3, crop, crop), np.uint8)}
    assert can_log_requests([sample], classifier("uint8", crop, classes)) is is_small


def test_answers_of_unknown_size_are_not_logged():
    sample = {"signal": np.zeros((2, 3), np.float32), "gain": np.float32([2])}
    answer = dataclasses.replace(WHOLE.outputs[0], shape=(2, 3))
    assert can_log_requests([sample], dataclasses.replace(WHOLE, outputs=(answer,)))
    assert not can_log_requests([sample], WHOLE)
