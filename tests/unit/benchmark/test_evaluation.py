import numpy as np
import pytest
from helpers.models.text_contract import TEXT, text_sample

from slipway.benchmark import evaluation as evaluation_module
from slipway.benchmark.evaluation import Evaluation, evaluated, stacked
from slipway.contract.batches import digest_of_values
from slipway.contract.contract import Contract, Tensor
from slipway.core.errors import SlipwayError

LENGTHS = (3, 3, 5, 3, *[4] * 10)
SAMPLES = [text_sample(length, seed).inputs | {"target": np.ones(1)} for seed, length in enumerate(LENGTHS)]


def answers_of_text(inputs, asked=None):
    if asked is not None:
        asked.append(inputs["input_ids"].shape)
    sums = inputs["input_ids"].sum(1, keepdims=True).astype(np.float32)
    return {"scores": np.repeat(sums, 3, 1), "embedding": np.repeat(sums, 4, 1)}


def test_samples_of_equal_sizes_that_follow_each_other_are_asked_together():
    asked = []
    found = evaluated(lambda inputs: answers_of_text(inputs, asked), TEXT, SAMPLES)
    assert asked == [(2, 3), (1, 5), (1, 3), (8, 4), (2, 4)]
    assert stacked(found.answers, "scores")[:, 0].tolist() == [sample["input_ids"].sum() for sample in SAMPLES]


def test_a_model_without_a_batch_axis_gets_each_request_as_it_is():
    contract = Contract((Tensor("x", "float32", (2,)),), (Tensor("y", "float32", (2,)),))
    found = evaluated(lambda inputs: {"y": inputs["x"] + 1}, contract, [{"x": np.float32([n, 0])} for n in (1, 2)])
    assert [answer["y"].tolist() for answer in found.answers] == [[2, 1], [3, 1]]


def test_what_is_written_is_read_again(tmp_path):
    found = evaluated(answers_of_text, TEXT, SAMPLES)
    written = Evaluation(found.samples, found.answers, {"metric": {"error": 0.5}})
    written.write(tmp_path / "evaluation.npz")
    again = Evaluation.read(tmp_path / "evaluation.npz", TEXT)
    again.require_same_samples(found)
    assert again.facts == {"metric": {"error": 0.5}}
    assert all(
        (one["scores"] == other["scores"]).all() for one, other in zip(again.answers, found.answers, strict=True)
    )
    first = (tmp_path / "evaluation.npz").read_bytes()
    written.write(tmp_path / "evaluation.npz")
    assert (tmp_path / "evaluation.npz").read_bytes() == first


def test_other_samples_than_pytorch_was_asked_about_are_told():
    found = evaluated(answers_of_text, TEXT, SAMPLES)
    changed = [*SAMPLES[:2], text_sample(5, 99).inputs, *SAMPLES[3:]]
    with pytest.raises(SlipwayError, match=r"sample 2 is another one now; remove the model's evaluation\.npz"):
        found.require_same_samples(evaluated(answers_of_text, TEXT, changed))
    relabelled = [*SAMPLES[:3], SAMPLES[3] | {"target": np.zeros(1)}, *SAMPLES[4:]]
    with pytest.raises(SlipwayError, match="sample 3 is another one now"):
        found.require_same_samples(evaluated(answers_of_text, TEXT, relabelled))
    with pytest.raises(SlipwayError, match="there are 13 samples now, and were 14"):
        found.require_same_samples(evaluated(answers_of_text, TEXT, SAMPLES[:-1]))


@pytest.mark.parametrize(
    "changed",
    [{"x": np.int32([[1, 2]])}, {"x": np.int64([1, 2])}, {"y": np.int64([[1, 2]])}, {"x": np.int64([[1, 3]])}],
)
def test_the_digest_has_names_dtypes_shapes_and_values(changed):
    assert digest_of_values([{"x": np.int64([[1, 2]])}]) != digest_of_values([changed])


def test_damaged_answers_are_told(tmp_path):
    (tmp_path / "evaluation.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(SlipwayError, match=r"evaluation\.npz are damaged"):
        Evaluation.read(tmp_path / "evaluation.npz", TEXT)


def test_no_samples_and_too_many_are_told(monkeypatch):
    with pytest.raises(SlipwayError, match="there is no sample"):
        evaluated(answers_of_text, TEXT, [])
    monkeypatch.setattr(evaluation_module, "MAX_BYTES", 100)
    with pytest.raises(SlipwayError, match=r"lower `accuracy\.max_samples`"):
        evaluated(answers_of_text, TEXT, SAMPLES)
