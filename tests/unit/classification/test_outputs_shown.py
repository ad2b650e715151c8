import numpy as np
import pytest

from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import LOGITS, Meaning
from slipway.outputs.presentation import answer_of, in_words, lines_of, prefixed, sentence_of

SCORES = np.log(np.array([0.1, 0.6, 0.3], np.float32))
EACH = Meaning("sigmoid")
TENSOR = Meaning("tensor")


def test_classes_are_sorted_with_their_softmax():
    found = answer_of(SCORES, LOGITS, ["cat", "dog", "cow"], count=2)["top"]
    assert [(entry["index"], entry["label"]) for entry in found] == [(1, "dog"), (2, "cow")]
    assert [entry["confidence"] for entry in found] == pytest.approx([0.6, 0.3], abs=1e-6)


def test_large_scores_do_not_overflow():
    for meaning in (LOGITS, Meaning("sigmoid", "sigmoid")):
        found = answer_of(np.array([1000.0, -1000.0], np.float32), meaning, ["a", "b"])["top"]
        assert [entry["confidence"] for entry in found] == [1.0, 0.0]


def test_lines_and_sentence_of_classes():
    answer = answer_of(SCORES, LOGITS, ["cat", "dog", "cow"], count=2)
    assert lines_of(answer) == [" 60.0%  dog (class 1)", " 30.0%  cow (class 2)"]
    assert sentence_of(answer) == "60.0% dog (1), 30.0% cow (2)"
    assert sentence_of(answer, 1) == "60.0% dog (1)"


def test_lines_of_classes_by_themselves_say_the_threshold():
    answer = answer_of(np.array([0.9, 0.2, 0.5]), EACH, ["cat", "dog", "cow"], count=1)
    assert lines_of(answer) == [" 90.0%  cat (class 0)", "each by itself; from 50% on: cat, cow"]
    assert lines_of(answer_of(np.array([0.1, 0.2]), EACH, []))[-1] == "each by itself; from 50% on: none"


def test_a_single_yes_or_no_has_no_number():
    assert lines_of(answer_of(np.array([0.1]), EACH, ["defect"]))[0] == " 10.0%  defect"
    assert lines_of(answer_of(np.array([0.1]), Meaning("sigmoid", negative="fine"), ["defect"]))[:2] == [
        " 90.0%  fine (class 0)",
        " 10.0%  defect (class 1)",
    ]
    assert sentence_of(answer_of(np.array([2.0]), Meaning("sigmoid", "sigmoid"), [])) == "88.1% positive class"
    assert sentence_of(answer_of(np.array([2.0]), Meaning("sigmoid", "sigmoid"), ["class 0"])) == "88.1% positive class"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([37.25], "1 value: 37.25"),
        ([0.5, -2, 1e6], "3 values: 0.5, -2, 1e+06"),
        (range(100), "100 values from 0 to 99: 0, 1, 2, 3, 4, ..."),
        (np.zeros((2, 3)), "6 values (2, 3): 0, 0, 0, 0, 0, 0"),
        (np.ones((21, 8, 8)), "1344 values (21, 8, 8) from 1 to 1: 1, 1, 1, 1, 1, ..."),
        (np.zeros((0, 4)), "no values, (0, 4)"),
        (2.5, "1 value: 2.5"),
    ],
)
def test_a_tensor_is_its_values(values, sentence):
    answer = answer_of(np.array(values, np.float32), TENSOR, ["class 0"])
    assert sentence_of(answer) == sentence
    assert lines_of(answer) == [sentence]


def test_integers_are_told_exactly():
    assert sentence_of(answer_of(np.array([2**53 + 1, -7]), TENSOR, [])) == "2 values: 9007199254740993, -7"
    assert sentence_of(answer_of(np.array([True, False]), TENSOR, [])) == "2 values: 1, 0"


def test_scores_of_more_than_one_place_are_a_tensor():
    assert "tensor" in answer_of(np.zeros((21, 4, 4), np.float32), LOGITS, ["cat"])


def test_an_output_without_a_meaning_is_only_its_values():
    answer = answer_of(np.float32([0.5]), TENSOR, [])
    assert in_words(TENSOR.record(), answer) == ["for the first sample: 1 value: 0.5"]
    assert prefixed({"one": ["a", "b"]}) == ["a", "b"]
    assert prefixed({"one": ["a"], "other": ["b"]}) == ["one: a", "other: b"]


@pytest.mark.parametrize("meaning", [LOGITS, Meaning("sigmoid", "sigmoid", "fine"), EACH, TENSOR])
def test_a_served_model_says_what_its_records_say(meaning):
    assert Meaning.of(meaning.record()) == meaning
    told = Meaning.of_parameters(meaning.parameters())
    assert (told.kind, told.activation, told.negative) == (meaning.kind, meaning.activation, meaning.negative)


def test_a_model_that_says_nothing_or_something_unknown_is_not_guessed_here():
    assert Meaning.of_parameters({}) is None
    assert Meaning.of_parameters({"output_meaning": "poetry"}) is None


def test_probabilities_of_a_tensor_are_a_mistake():
    with pytest.raises(ValueError, match="no scores of classes"):
        TENSOR.probabilities(np.zeros((1, 2)))


def test_a_single_yes_or_no_has_two_scores():
    np.testing.assert_allclose(
        Meaning("sigmoid", "sigmoid").scores(np.array([[0.0], [np.log(3)]])), [[0.5, 0.5], [0.25, 0.75]]
    )


@pytest.mark.parametrize("record", [7, {}, {"kind": "poetry", "activation": None, "negative": None, "reason": ""}])
def test_a_damaged_record_is_told_and_status_still_shows_the_rest(record):
    with pytest.raises(SlipwayError, match=r"is damaged \(.*; run snakemake again"):
        Meaning.of(record)
    assert in_words(record, {"top": [{"label": 1}]}) == ["not known", "for the first sample: not known"]
    known = Meaning("tensor", reason="it has one output")
    shown = in_words(known.record(), answer_of(np.array([37.25]), known, []))
    assert shown == [known.in_words, "for the first sample: 1 value: 37.25"]
