"""The model, as the server states it."""

import pytest
from helpers.models.server_metadata import LOGITS, PICTURES, described

from slipway.core.errors import SlipwayError
from slipway.deploy.client_options import batch_size


@pytest.mark.parametrize(("datatype", "dtype"), [("FP32", "float32"), ("UINT8", "uint8")])
def test_the_servers_datatype_decides_what_is_sent(datatype, dtype):
    found = described({"x": (datatype, [-1, 3, 64, 64])}, LOGITS, max_batch=8, labels="labels.txt")
    assert (found.input, found.dtype, found.side, found.batched, found.max_batch) == ("x", dtype, 64, True, 8)
    assert (found.output, found.classes, found.has_labels) == ("logits", 1000, True)


def test_a_model_without_a_batch_takes_one_picture():
    found = described({"data_0": ("FP32", [3, 224, 224])}, {"fc6_1": ("FP32", [1000])}, labels="densenet_labels.txt")
    assert (found.batched, found.max_batch, found.classes) == (False, 1, 1000)


def test_sizes_that_the_server_leaves_open_are_unknown():
    found = described({"input": ("FP32", [-1, 3, -1, -1])}, {"logits": ("FP32", [-1, -1])})
    assert (found.side, found.max_batch, found.classes) == (None, None, None)


def test_an_output_of_a_pooling_layer_is_one_score_a_class():
    assert described(PICTURES, {"logits": ("FP16", [-1, 1000, 1, 1])}).classes == 1000


def test_one_of_several_outputs_is_named():
    outputs = {"features": ("FP32", [-1, 2048]), **LOGITS}
    assert described(PICTURES, outputs, output="logits").output == "logits"
    with pytest.raises(SlipwayError, match="several outputs; name the scores with --output: features, logits"):
        described(PICTURES, outputs)


@pytest.mark.parametrize(
    ("inputs", "outputs", "phrase"),
    [
        ({**PICTURES, "mask": ("FP32", [-1, 1])}, LOGITS, r"2 inputs \(input, mask\), but pictures fill one"),
        ({"input": ("FP16", [-1, 3, 224, 224])}, LOGITS, "takes FP16, but pictures are sent as UINT8"),
        ({"input": ("BYTES", [-1, 1])}, LOGITS, "takes BYTES"),
        ({"input": ("FP32", [-1, 224, 224, 3])}, LOGITS, r"shape \[-1, 224, 224, 3\], but pictures are sent as \[N, 3"),
        ({"input": ("FP32", [-1, 3, 224, 320])}, LOGITS, "needs a client of its own"),
        ({"input": ("FP32", [-1, 16])}, LOGITS, "needs a client of its own"),
        ({"input": ("FP32", [8, 3, 224, 224])}, LOGITS, "exactly 8 pictures"),
        (PICTURES, {"logits": ("INT64", [-1, 5])}, "answers with INT64 in logits"),
        (PICTURES, {"boxes": ("FP32", [-1, 100, 4])}, r"shape \[-1, 100, 4\], which is not one score a class"),
        (PICTURES, {}, "several outputs"),
    ],
)
def test_what_is_no_classifier_of_pictures_is_refused(inputs, outputs, phrase):
    with pytest.raises(SlipwayError, match=phrase):
        described(inputs, outputs)


@pytest.mark.parametrize(
    ("limit", "asked", "size"), [(32, None, 8), (4, None, 4), (4, 4, 4), (4, 3, 3), (None, None, 8), (None, 500, 500)]
)
def test_a_request_carries_what_was_asked_or_what_the_model_takes(limit, asked, size):
    shape = [1 if limit == 1 else -1, 3, 224, 224]
    found = described({"input": ("FP32", shape)}, LOGITS, max_batch=limit or 0)
    assert batch_size(found.name, found.max_batch, asked) == size


def test_more_pictures_than_the_model_takes_are_refused():
    with pytest.raises(SlipwayError, match="at most 4 pictures a request, not 5; give --batch 4 or less"):
        batch_size("m", described(PICTURES, LOGITS, max_batch=4).max_batch, 5, "pictures")
