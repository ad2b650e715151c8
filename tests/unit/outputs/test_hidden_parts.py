import numpy as np
import pytest

from slipway.contract.contract import BATCH, Tensor
from slipway.outputs.hidden_parts import hidden_parts
from slipway.outputs.meaning import LOGITS

BOXES, SCORES = slice(0, 4), slice(4, 6)
DETECTIONS = Tensor("detections", "float32", (BATCH, 6, None))
LIMIT = 0.3


def pictures():
    """Return answers of a detector: boxes in pixels beside scores, at several numbers of places."""
    random = np.random.default_rng(0)
    answers = []
    for places in (20, 30, 25):
        scores = random.random((1, 2, places))
        answers.append({"detections": np.concatenate([random.uniform(50, 600, (1, 4, places)), scores], axis=1)})
    return answers


def changed(part, change):
    answers = pictures()
    for answer in answers:
        answer["detections"][:, part] = change(answer["detections"][:, part])
    return answers


@pytest.mark.parametrize("change", [np.zeros_like, lambda scores: 1 - scores], ids=["zeros", "opposite"])
def test_wrong_scores_beside_large_boxes_are_told(change):
    (said,) = hidden_parts([DETECTIONS], pictures(), changed(SCORES, change), LIMIT)
    assert said.startswith("in 2 of the 6 parts of detections along axis 1")
    assert "name a `metric`" in said


@pytest.mark.parametrize(
    ("part", "change"), [(SCORES, lambda scores: scores * 1.02), (BOXES, lambda boxes: boxes * 1.02)]
)
def test_small_errors_and_errors_of_large_parts_are_none(part, change):
    assert hidden_parts([DETECTIONS], pictures(), changed(part, change), LIMIT) == []


def test_a_small_part_that_is_constant_and_near_is_no_error():
    reference = [{"y": np.float32([[[500, 3], [1, 1]]]) + np.float32([[[number], [0]]])} for number in range(3)]
    near = [{"y": answer["y"] * np.float32([[[1], [1.01]]])} for answer in reference]
    assert hidden_parts([Tensor("y", "float32", (BATCH, 2, 2))], reference, near, LIMIT) == []


MASKED = Tensor("masked", "float32", (BATCH, 4))


def masked(scale=1.0, mask=-1e30):
    """Return answers whose negative values are replaced by `mask`."""
    values = np.random.default_rng(0).standard_normal((5, 1, 4))
    return [{"masked": np.where(value > 0, value * scale, mask)} for value in values]


@pytest.mark.parametrize("mask", [-1e4, -1e9, -3.4e38])
def test_wrong_values_beside_masked_ones_are_told(mask):
    (said,) = hidden_parts([MASKED], masked(mask=mask), masked(-1, mask), 1e-3)
    assert said.startswith("the largest values of masked are")
    assert "as in a mask, and the error of all other values, which are far smaller, is 2 of their size" in said
    assert hidden_parts([MASKED], masked(mask=mask), masked(1 + 1e-6, mask), 1e-3) == []


def test_values_of_all_sizes_are_no_mask():
    reference = [{"masked": np.float32([[10.0**power, 1, 2, 3]])} for power in range(7)]
    wrong = [{"masked": answer["masked"] * np.float32([[1, -1, 1, 1]])} for answer in reference]
    assert not [said for said in hidden_parts([MASKED], reference, wrong, 1e-3) if "mask," in said]


def test_class_scores_and_integers_have_no_hidden_parts():
    scores = Tensor("detections", "float32", (BATCH, 6, None), meaning=LOGITS)
    numbers = Tensor("detections", "int64", (BATCH, 6, None))
    assert hidden_parts([scores, numbers], pictures(), changed(SCORES, np.zeros_like), LIMIT) == []
