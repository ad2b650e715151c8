import pytest
from helpers.models.goldens import make_golden
from helpers.models.tiny_network import CROP, PREPROCESS, checkpoint

from slipway.contract.contract import BATCH, Contract, Normalisation
from slipway.core.artifacts import read_json


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_a_classifier_takes_a_picture_and_gives_a_score_a_class(tmp_path, input_dtype):
    make_golden(tmp_path, *checkpoint(tmp_path), "--meaning=logits", input_dtype=input_dtype)
    contract = Contract.read(tmp_path / "contract.json")
    assert (contract.batched, contract.axes) == (True, {})
    (taken,), (given,) = contract.inputs, contract.outputs
    assert (taken.name, taken.dtype, taken.shape) == ("input", input_dtype, (BATCH, 3, CROP, CROP))
    assert taken.normalisation == (Normalisation(PREPROCESS.mean, PREPROCESS.std) if input_dtype == "uint8" else None)
    assert (given.name, given.dtype, given.shape) == ("logits", "float32", (BATCH, 16))
    assert given.meaning.kind == "logits"
    assert contract.facts["preprocess"]["crop"] == CROP
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines()[-1] == "class 15"


def test_what_graphs_depend_on_is_free_of_meaning_and_labels(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(f"name {index}" for index in range(16)), encoding="utf-8")
    interfaces, contracts = [], []
    for finding in (["--meaning=sigmoid"], ["--meaning=logits"], [f"--labels-from={tmp_path}/names.txt"]):
        make_golden(tmp_path, *checkpoint(tmp_path), *finding)
        interfaces.append(read_json(tmp_path / "interface.json"))
        contracts.append(read_json(tmp_path / "contract.json"))
    assert interfaces[0] == interfaces[1] == interfaces[2]
    assert contracts[0] != contracts[1] != contracts[2]
