import numpy as np
import pytest

from slipway.benchmark.agreement import compare as compare_tensors
from slipway.benchmark.agreement import compare_requests, figures_in_words, violations
from slipway.classification.score_figures import accuracy
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import LOGITS as SCORES
from slipway.outputs.meaning import Meaning

LIMITS = {"min_cosine": 0.99, "max_relative_error": 0.1, "min_top1_agreement": 0.95, "max_top1_drop": 0.01}
LOGITS = np.random.default_rng(0).standard_normal((6, 10)).astype(np.float32)


def contract_of(*outputs):
    return Contract((Tensor("x", "float32", (BATCH, 4)),), outputs)


def compare(reference, outputs, meaning=SCORES):
    """Compare a single output (N, values)."""
    contract = contract_of(Tensor("y", "float32", (BATCH, "values"), meaning=meaning))
    return compare_tensors({"y": reference}, {"y": outputs}, contract)


def test_equal_logits_agree_fully():
    found = compare(LOGITS, LOGITS)
    assert found["samples"] == 6
    assert found["finite"] is True
    assert found["min_cosine"] == pytest.approx(1)
    assert found["mean_cosine"] == pytest.approx(1)
    assert found["max_abs_error"] == 0
    assert found["relative_error"] == 0
    assert found["top1_agreement"] == 1
    assert violations(found, LIMITS) == []


@pytest.mark.parametrize("largest", [2**31 - 1, -705032704], ids=["saturated", "wrapped"])
def test_a_few_integers_that_overflow_are_refused_although_most_are_equal(largest):
    contract = contract_of(Tensor("y", "int64", (BATCH, 1000)))
    reference = np.arange(1000)[None]
    reference[0, -1] = 5_000_000_000
    answer = reference.copy()
    answer[0, -1] = largest
    found = compare_tensors({"y": reference}, {"y": answer}, contract)
    assert found["equal_values"] == 0.999
    [problem] = violations(found, LIMITS)
    assert problem.startswith("1 integers beyond 32 bits are answered by other numbers")
    assert violations(compare_tensors({"y": reference}, {"y": reference}, contract), LIMITS) == []


def test_figures_of_known_vectors():
    found = compare(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[4.0, 3.0], [1.0, 0.0]]))
    assert found["min_cosine"] == pytest.approx(24 / 25)
    assert found["mean_cosine"] == pytest.approx((24 / 25 + 1) / 2)
    assert found["max_abs_error"] == pytest.approx(1)
    assert found["relative_error"] == pytest.approx(np.sqrt(2 / 26))
    assert found["top1_agreement"] == pytest.approx(0.5)


def test_scaled_logits_have_the_same_direction_but_an_error():
    found = compare(LOGITS, 2 * LOGITS)
    assert found["min_cosine"] == pytest.approx(1)
    assert found["relative_error"] == pytest.approx(1)
    assert violations(found, LIMITS) == ["relative_error 1 is above the limit 0.1"]


def test_one_wrong_image_among_many_is_seen():
    logits = LOGITS.copy()
    logits[3] = -logits[3]
    found = compare(LOGITS, logits)
    assert found["min_cosine"] == pytest.approx(-1)
    assert found["top1_agreement"] == pytest.approx(5 / 6)
    assert len(violations(found, LIMITS)) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_logits_that_are_not_finite_break_the_limits(value):
    logits = LOGITS.copy()
    logits[0, 0] = value
    found = compare(LOGITS, logits)
    assert found["finite"] is False
    assert any("min_cosine" in sentence for sentence in violations(found, LIMITS))
    assert any("relative_error" in sentence for sentence in violations(found, LIMITS))


def test_all_zeros_break_the_limits():
    found = compare(LOGITS, np.zeros_like(LOGITS))
    assert found["min_cosine"] == 0
    assert found["relative_error"] == pytest.approx(1)
    assert len(violations(found, LIMITS)) >= 2


def test_zeros_agree_with_zeros_and_with_nothing_else():
    zeros = np.zeros((2, 3))
    assert violations(compare(zeros, zeros), LIMITS) == []
    found = compare(zeros, zeros + 1e-9)
    assert found["relative_error"] == np.inf
    assert violations(found, LIMITS)


SIGMOID, TENSOR = Meaning("sigmoid", "sigmoid"), Meaning("tensor")


def test_of_a_yes_or_no_each_decisions_are_compared():
    found = compare(np.array([[2.0, -1.0], [-3.0, 0.1]]), np.array([[1.9, -1.0], [-3.0, -0.1]]), SIGMOID)
    assert found["decision_agreement"] == 0.75
    assert "top1_agreement" not in found
    assert "decision_agreement 0.75 is below the limit 0.95" in violations(found, LIMITS)


def test_of_a_tensor_only_the_error_is_held():
    found = compare(np.array([[3.0], [-2.0]]), np.array([[3.3], [-2.1]]), TENSOR)
    assert not [name for name in found if "cosine" in name or "agreement" in name]
    assert violations(found, LIMITS) == []
    assert violations(compare(np.array([[3.0]]), np.array([[4.0]]), TENSOR), LIMITS) == [
        "relative_error 0.333333333 is above the limit 0.1"
    ]
    assert len(violations(compare(np.array([[3.0]]), np.array([[np.nan]]), TENSOR), LIMITS)) == 1


def test_half_precision_is_compared_in_double():
    found = compare(np.full((1, 4), 300, np.float16), np.full((1, 4), 300, np.float16))
    assert found["min_cosine"] == pytest.approx(1)


def test_other_shapes_are_refused_with_both():
    with pytest.raises(SlipwayError, match=r"\(6, 9\).*\(6, 10\)"):
        compare(LOGITS, LOGITS[:, :9])


def test_a_figure_at_its_limit_holds():
    found = {"min_cosine": 0.99, "relative_error": 0.1, "top1_agreement": 0.95}
    assert violations({"outputs": {"y": found}}, LIMITS) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("min_cosine", 0.98, "min_cosine 0.98 is below the limit 0.99"),
        ("relative_error", 0.25, "relative_error 0.25 is above the limit 0.1"),
        ("top1_agreement", 0.5, "top1_agreement 0.5 is below the limit 0.95"),
    ],
)
def test_a_broken_limit_is_told_with_figure_and_limit(name, value, sentence):
    found = {"min_cosine": 1, "relative_error": 0, "top1_agreement": 1} | {name: value}
    assert violations({"outputs": {"y": found}}, LIMITS) == [sentence]


def test_a_figure_that_is_not_a_number_breaks_its_limit():
    found = {"min_cosine": float("nan"), "relative_error": float("nan"), "top1_agreement": float("nan")}
    assert len(violations({"outputs": {"y": found}}, LIMITS)) == 3


def test_accuracy_counts_top_1_and_top_5():
    logits = np.tile(np.arange(10.0), (4, 1))  # best to worst: 9, 8, 7, 6, 5, ...
    assert accuracy(logits, np.array([9, 8, 5, 4])) == {"top1": 0.25, "top5": 0.75}


def test_accuracy_of_fewer_than_five_classes():
    assert accuracy(np.array([[1.0, 2.0]]), np.array([0])) == {"top1": 0.0, "top5": 1.0}


SEVERAL = contract_of(
    Tensor("scores", "float32", (BATCH, 10), meaning=SCORES),
    Tensor("mask", "int64", (BATCH, 2, 2)),
    Tensor("boxes", "float32", (BATCH, None, 4), meaning=TENSOR),
)
ANSWER = {"scores": LOGITS, "mask": np.arange(24).reshape(6, 2, 2), "boxes": np.ones((6, 3, 4), np.float32)}


def test_the_worst_output_counts_and_each_has_its_figures():
    found = compare_tensors(ANSWER, ANSWER | {"boxes": 1.5 * ANSWER["boxes"], "mask": 0 * ANSWER["mask"]}, SEVERAL)
    assert found["outputs"]["scores"]["relative_error"] == 0
    assert found["relative_error"] == found["outputs"]["boxes"]["relative_error"] == pytest.approx(0.5)
    assert found["top1_agreement"] == 1
    assert set(found["outputs"]["mask"]) == {"samples", "finite", "equal_values"}
    assert violations(found, LIMITS) == [
        "mask: equal_values 0.0416666667 is below the limit 0.95",
        "boxes: relative_error 0.5 is above the limit 0.1",
    ]


def test_other_sizes_where_sizes_depend_on_values_are_told_and_held_to_no_limit():
    found = compare_tensors(ANSWER, ANSWER | {"boxes": np.ones((6, 2, 4), np.float32)}, SEVERAL)
    assert found["outputs"]["boxes"]["other_sizes"] == "(6, 2, 4), the model's own (6, 3, 4)"
    assert "only a metric can judge" in figures_in_words(found)
    assert violations(found, LIMITS) == []
    with pytest.raises(SlipwayError, match=r"the answer's output boxes has the shape \(6, 3, 5\)"):
        compare_tensors(ANSWER, ANSWER | {"boxes": np.ones((6, 3, 5), np.float32)}, SEVERAL)


def test_a_missing_output_is_named():
    with pytest.raises(SlipwayError, match="lacks the output boxes; it has scores, mask"):
        compare_tensors(ANSWER, {name: ANSWER[name] for name in ("scores", "mask")}, SEVERAL)


def test_requests_of_several_lengths_are_compared_as_one():
    contract = contract_of(Tensor("y", "float32", (BATCH, "length", 2)))
    references = [{"y": np.ones((1, length, 2))} for length in (3, 5)]
    answers = [{"y": factor * reference["y"]} for factor, reference in zip((1, -1), references, strict=True)]
    found = compare_requests(references, answers, contract)
    assert (found["samples"], found["max_abs_error"]) == (2, 2)
    assert found["min_cosine"] == pytest.approx(-1)
    assert found["relative_error"] == pytest.approx(2 * np.sqrt(10 / 16))


def test_no_boxes_agree_with_no_boxes():
    contract = contract_of(Tensor("boxes", "float32", (BATCH, None, 4)))
    nothing = {"boxes": np.ones((1, 0, 4), np.float32)}
    assert violations(compare_tensors(nothing, nothing, contract), LIMITS) == []


def test_a_model_without_a_batch_axis_gives_one_sample():
    contract = Contract((Tensor("x", "float32", (4,)),), (Tensor("y", "float32", (3, 2)),))
    assert compare_tensors({"y": np.ones((3, 2))}, {"y": np.ones((3, 2))}, contract)["samples"] == 1
