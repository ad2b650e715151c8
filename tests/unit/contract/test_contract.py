"""A contract: what it states, what it refuses, and how samples become batches."""

import json

import numpy as np
import pytest

from slipway.contract.archives import read_samples, write_samples
from slipway.contract.batches import batch_of, joined, padded
from slipway.contract.contract import BATCH, Axis, Contract, Normalisation, Tensor
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import LOGITS

TEXT = Contract(
    (
        Tensor("input_ids", "int64", (BATCH, "sequence"), pad=0),
        Tensor("attention_mask", "int64", (BATCH, "sequence"), pad=0),
    ),
    (Tensor("scores", "float32", (BATCH, 3), meaning=LOGITS),),
    {"sequence": Axis(2, 4, 8)},
    {"samples": {"kind": "function"}},
)
PICTURE = Tensor("image", "uint8", (BATCH, 3, 8, 8), normalisation=Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))


def text(*ids):
    ids = np.array([ids])
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


@pytest.mark.parametrize("contract", [TEXT, Contract((PICTURE,), TEXT.outputs)], ids=["text", "picture"])
def test_a_contract_reads_back_as_it_was_written(contract):
    assert Contract.of(json.loads(json.dumps(contract.record()))) == contract


def test_the_interface_has_no_meanings_and_reads_back():
    interface = TEXT.interface()
    assert "meaning" not in interface["outputs"][0]
    assert Contract.of(interface).inputs == TEXT.inputs


def test_sizes_of_a_request():
    assert TEXT.sizes_of(text(1, 2, 3)) == {BATCH: 1, "sequence": 3}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"input_ids": np.array([[1, 2]])}, "the inputs are input_ids, but the model takes input_ids, attention_mask"),
        ({**text(1, 2), "attention_mask": np.array([[1]])}, "attention_mask is int64 (1, 1)"),
        ({**text(1, 2), "input_ids": np.array([[1.0, 2.0]])}, "input_ids is float64 (1, 2)"),
        (text(*range(9)), "the axis sequence of the inputs has the size 9, but the model takes 2 to 8"),
    ],
    ids=["missing", "other size", "other dtype", "too long"],
)
def test_a_request_that_does_not_fit_is_refused(inputs, said):
    with pytest.raises(SlipwayError) as error:
        TEXT.sizes_of(inputs)
    assert said in str(error.value)


def test_a_damaged_contract_is_told():
    with pytest.raises(SlipwayError, match="the contract of the model is damaged"):
        Contract.of({"inputs": [{"name": 3}]})


def test_a_batch_repeats_and_cuts_real_values():
    batch = batch_of(TEXT, [text(1, 2, 3), text(4, 5, 6, 7, 8)], 3, {"sequence": 4})
    assert batch["input_ids"].tolist() == [[1, 2, 3, 1], [4, 5, 6, 7], [1, 2, 3, 1]]
    assert batch_of(TEXT, [text(1, 2)], 2)["input_ids"].shape == (2, 4)


def test_shorter_samples_are_padded():
    together = joined(padded(TEXT, [text(1, 2), text(3, 4, 5)]))
    assert together["input_ids"].tolist() == [[1, 2, 0], [3, 4, 5]]
    assert together["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_reference_outputs_read_back(tmp_path):
    answer = {"scores": np.float32([[1, 2, 3]])}
    reference = ReferenceOutputs(TEXT, (Sample(text(1, 2), answer), Sample(text(1, 2, 3), answer)))
    reference.write(tmp_path / "reference_outputs.npz")
    read = ReferenceOutputs.read(tmp_path / "reference_outputs.npz")
    assert read.contract == TEXT
    assert [sample.inputs["input_ids"].shape for sample in read.samples] == [(1, 2), (1, 3)]
    assert read.request.outputs["scores"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("content", [b"", b"noise", None], ids=["empty", "noise", "missing"])
def test_damaged_reference_outputs_are_told(tmp_path, content):
    path = tmp_path / "reference_outputs.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SlipwayError, match="are missing or damaged"):
        ReferenceOutputs.read(path)


def test_samples_of_several_sizes_read_back(tmp_path):
    write_samples(tmp_path / "samples.npz", [text(1, 2), text(1, 2, 3)])
    assert [sample["input_ids"].tolist() for sample in read_samples(tmp_path / "samples.npz")] == [
        [[1, 2]],
        [[1, 2, 3]],
    ]
