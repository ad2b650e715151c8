"""What outputs mean is found in the network or stated, and a contradiction is refused; nothing is a class by chance."""

import numpy as np
import pytest
from helpers.models.heads import Prepared

from slipway.classification.output_meaning import find_meaning
from slipway.contract.batches import joined
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import Meaning
from slipway.outputs.variation import weakness

CAT_DOG_COW = ["cat", "dog", "cow"]


def answers_of(prepared):
    reference = ReferenceOutputs.read(prepared.folder / "reference_outputs.npz")
    return reference.request.outputs["logits"].astype(np.float64), reference


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def shown(record):
    return {entry["label"]: entry["confidence"] for entry in record["top"]}


@pytest.mark.parametrize("head", ["softmax", "functional_softmax", "exp_of_log_softmax", "half_softmax", "half_shares"])
def test_a_softmax_in_the_network_is_not_applied_twice(tmp_path, head):
    prepared = Prepared(tmp_path, head=head)
    record = prepared.reference()
    (answer,), _ = answers_of(prepared)
    assert record["output"]["kind"] == "probabilities"
    assert shown(record) == pytest.approx({f"class {i}": p for i, p in enumerate(answer)}, abs=1e-6)
    assert sum(shown(record).values()) == pytest.approx(1, abs=5e-3 if head.startswith("half") else 1e-5)


@pytest.mark.parametrize("head", ["logits", "log_softmax"])
def test_softmax_makes_the_probabilities_of_logits(tmp_path, head):
    prepared = Prepared(tmp_path, CAT_DOG_COW, head=head)
    record = prepared.reference()
    (answer,), _ = answers_of(prepared)
    assert record["output"]["kind"] == "logits"
    assert shown(record) == pytest.approx(dict(zip(CAT_DOG_COW, softmax(answer), strict=True)), abs=1e-6)


@pytest.mark.parametrize(
    "head", ["sigmoid", "functional_sigmoid", "hard_sigmoid", "sigmoid_by_hand", "sigmoid_by_tanh"]
)
@pytest.mark.parametrize("labels", [None, CAT_DOG_COW], ids=["unnamed", "named"])
def test_several_sigmoids_have_a_probability_each(tmp_path, head, labels):
    prepared = Prepared(tmp_path, labels, head=head)
    record = prepared.reference()
    (answer,), _ = answers_of(prepared)
    names = labels or ["class 0", "class 1", "class 2"]
    assert record["output"]["kind"] == "sigmoid"
    assert shown(record) == pytest.approx(dict(zip(names, answer, strict=True)), abs=1e-6)
    assert sorted(record["present"]) == sorted(
        name for name, value in zip(names, answer, strict=True) if value >= record["threshold"]
    )


def test_stated_sigmoid_is_applied_to_scores(tmp_path):
    prepared = Prepared(tmp_path, CAT_DOG_COW)
    record = prepared.reference("--meaning=sigmoid")
    (answer,), reference = answers_of(prepared)
    assert reference.contract.outputs[0].meaning == Meaning.of(record["output"])
    assert shown(record) == pytest.approx(dict(zip(CAT_DOG_COW, 1 / (1 + np.exp(-answer)), strict=True)), abs=1e-6)


@pytest.mark.parametrize(("head", "applied"), [("logits", False), ("sigmoid", True)])
@pytest.mark.parametrize("labels", [["defect"], ["fine", "defect"]], ids=["one_label", "two_labels"])
def test_a_single_yes_or_no_shows_how_likely_a_yes_is(tmp_path, head, applied, labels):
    prepared = Prepared(tmp_path, labels, head=head, values=1)
    record = prepared.reference("--meaning=sigmoid")
    ((answer,),), _ = answers_of(prepared)
    yes = answer if applied else 1 / (1 + np.exp(-answer))
    expected = {"defect": yes} if len(labels) == 1 else {"defect": yes, "fine": 1 - yes}
    assert shown(record) == pytest.approx(expected, abs=1e-6)
    assert 0.01 < yes < 0.99


def test_a_single_sigmoid_is_found_without_being_stated(tmp_path):
    record = Prepared(tmp_path, ["defect"], head="sigmoid", values=1).reference()
    assert record["output"]["kind"] == "sigmoid"
    assert list(shown(record)) == ["defect"]


@pytest.mark.parametrize(
    ("arguments", "asked_for"),
    [
        ({"values": 1}, "the meaning of its single output is not known; say `output: sigmoid`"),
        ({"values": 3}, "the meaning of its 3 outputs is not known; say `output: logits`"),
        ({"values": 512}, "the meaning of its 512 outputs is not known; say `output: logits`"),
        ({"values": 512, "head": "unit_length"}, "the meaning of its 512 outputs is not known"),
        ({"values": 512, "head": "positive_unit_length"}, "the meaning of its 512 outputs is not known"),
    ],
    ids=["regression", "regression_of_3", "embedding", "embedding_of_unit_length", "embedding_that_is_never_negative"],
)
def test_a_regression_and_an_embedding_are_called_no_class(tmp_path, capsys, arguments, asked_for):
    prepared = Prepared(tmp_path, **arguments)
    record = prepared.reference()
    (answer,), _ = answers_of(prepared)
    assert record["output"]["kind"] == "tensor"
    assert "top" not in record
    assert record["tensor"]["shape"] == [arguments["values"]]
    np.testing.assert_allclose(record["tensor"]["values"], answer[: len(record["tensor"]["values"])], rtol=1e-5)
    assert (record["tensor"]["min"], record["tensor"]["max"]) == pytest.approx((answer.min(), answer.max()), rel=1e-5)
    said = capsys.readouterr().err
    assert asked_for in said
    assert "%" not in said
    assert "class 0" not in said


def test_class_names_of_a_single_output_that_nobody_explains_ask_for_its_meaning(tmp_path):
    with pytest.raises(SlipwayError, match=r"`labels` in config.yaml names classes, but .* say `output: sigmoid`"):
        Prepared(tmp_path, ["fine", "defect"], values=1).reference()


def test_what_is_stated_as_a_tensor_is_one(tmp_path):
    record = Prepared(tmp_path, CAT_DOG_COW, head="softmax").reference("--meaning=tensor")
    assert "top" not in record
    assert len(record["tensor"]["values"]) == 3


def test_a_count_of_classes_among_the_arguments_names_them(tmp_path):
    assert Prepared(tmp_path, values=3, num_classes=3).reference()["output"]["kind"] == "logits"
    assert Prepared(tmp_path, values=3, num_classes=7).reference()["output"]["kind"] == "tensor"


CONTRADICTIONS = [
    ("softmax", 3, "logits", "after softmax|sum to one.*say `output: probabilities`"),
    ("exp_of_log_softmax", 3, "logits", "say `output: probabilities`"),
    ("softmax", 3, "sigmoid", "say `output: probabilities`"),
    ("log_softmax", 3, "sigmoid", "say `output: logits`"),
    ("sigmoid", 3, "logits", "ends in a sigmoid; say `output: sigmoid`"),
    ("sigmoid", 3, "probabilities", "do not sum to one.*say `output: sigmoid`"),
    ("logits", 3, "probabilities", "do not sum to one.*say `output: logits`"),
    ("logits", 1, "logits", "single output, whose softmax is always 100 %; say `output: sigmoid`"),
    ("sigmoid", 1, "probabilities", "single output, whose softmax is always 100 %; say `output: sigmoid`"),
]


@pytest.mark.parametrize(("head", "values", "stated", "sentence"), CONTRADICTIONS)
def test_what_is_stated_and_contradicts_the_network_is_refused(tmp_path, head, values, stated, sentence):
    with pytest.raises(SlipwayError, match=sentence):
        Prepared(tmp_path, head=head, values=values).reference(f"--meaning={stated}")
    assert not (tmp_path / "reference_outputs.npz").exists()


IMPOSSIBLE = [
    ("softmax", 1, "softmax over its single output, which is the same whatever it is shown; let the network"),
    ("softmax_of_pairs", 4, "softmax that is not over its 4 outputs"),
    ("percent", 3, "sum to 100 in every answer"),
    ("votes", 3, "sum to 2 in every answer"),
    ("negative_log", 3, r"logarithms of probabilities \(negative\)"),
    ("log10", 3, r"logarithms of probabilities \(to base 10\)"),
    ("log_sigmoid", 3, "ends in a log-sigmoid"),
    ("log_sigmoid", 1, "ends in a log-sigmoid"),
    ("topk", 3, "sorted by size in every answer.* without topk or sort"),
    ("softmax_of_sorted", 12, "sorted by size in every answer"),
    ("constant", 3, "the same answer whatever it is shown"),
    ("hardly", 3, "the same answer whatever it is shown"),
    ("zero", 3, "answers with zeros, whatever it is shown: its last layer starts at zero"),
    ("nan", 3, "NaN or infinities in PyTorch already"),
]


@pytest.mark.parametrize(("head", "values", "sentence"), IMPOSSIBLE)
def test_answers_that_prove_nothing_are_refused_in_a_sentence(tmp_path, head, values, sentence):
    with pytest.raises(SlipwayError, match=sentence):
        Prepared(tmp_path, head=head, values=values).reference()
    assert not (tmp_path / "reference_outputs.npz").exists()


def test_the_variation_of_the_answers_is_recorded_and_held_against_the_limits(tmp_path):
    prepared = Prepared(tmp_path)
    varies = prepared.reference()["variation"]
    _, reference = answers_of(prepared)
    both = joined(reference.outputs)["logits"].astype(np.float64)
    assert varies == pytest.approx(np.linalg.norm(both - both.mean(axis=0)) / np.linalg.norm(both))
    assert weakness({"logits": varies}, {"max_relative_error": varies / 2}) is None
    assert "a model with one answer for everything would pass" in weakness(
        {"logits": varies}, {"max_relative_error": varies * 2}
    )


def test_scores_that_hardly_vary_are_not_taken_for_shares():
    outputs = np.float32([[3, 1, 2]]) + 1e-4 * np.random.default_rng(0).uniform(size=(9, 3)).astype(np.float32)
    for last in ("relu", "mul"):
        assert find_meaning(None, last, outputs, "`labels` names a class for each").kind == "logits"


def test_a_class_that_was_decided_is_no_score():
    decided = np.eye(3, dtype=np.float32)[[0, 1, 1, 2, 0]]
    with pytest.raises(SlipwayError, match="a single 1 among zeros: a class that was decided"):
        find_meaning(None, "one_hot", decided, None)
    assert find_meaning("tensor", "one_hot", decided, None).kind == "tensor"
    assert find_meaning(None, "softmax", decided, None).kind == "probabilities"
