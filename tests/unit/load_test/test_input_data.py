"""Samples as perf_analyzer sends them."""

import base64
import dataclasses
import json

import numpy as np
from helpers.models.text_engine import TEXT, WHOLE, text_of

from slipway.load_test.model_analyzer import write_input_data


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
