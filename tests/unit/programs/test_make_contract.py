import json

import numpy as np
import pytest
import torch
from helpers.models.canonical_weights import write_weights
from helpers.models.reference_outputs import make_reference
from helpers.models.tiny_network import CROP, PREPROCESS, checkpoint

import make_contract
import sample_inputs
from slipway.contract.contract import BATCH, Contract, Normalisation
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_a_classifier_takes_a_picture_and_gives_a_score_a_class(tmp_path, input_dtype):
    make_reference(tmp_path, *checkpoint(tmp_path), "--meaning=logits", input_dtype=input_dtype)
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
        make_reference(tmp_path, *checkpoint(tmp_path), *finding)
        interfaces.append(read_json(tmp_path / "interface.json"))
        contracts.append(read_json(tmp_path / "contract.json"))
    assert interfaces[0] == interfaces[1] == interfaces[2]
    assert contracts[0] != contracts[1] != contracts[2]


class Text(torch.nn.Module):
    """Words to an average of their embeddings, and to scores of three topics."""

    def __init__(self):
        super().__init__()
        self.words, self.topics = torch.nn.Embedding(30, 4), torch.nn.Linear(4, 3)

    def forward(self, input_ids):
        embedding = self.words(input_ids).mean(1)
        return {"scores": self.topics(embedding), "embedding": embedding}


STATED = {
    "inputs": {"input_ids": {"shape": ["batch", "sequence"]}},
    "axes": {"sequence": {"min": 1, "opt": 4, "max": 16}},
    "outputs": {"scores": "logits", "embedding": "tensor"},
}


def contract_of(folder, stated, *options, more=None, lengths=(3, 8)):
    """Make the contract of the network of texts of some lengths; return what its files hold."""
    torch.manual_seed(0)
    write_weights(folder, Text(), f"{__name__}:Text")
    (folder / "texts").mkdir(exist_ok=True)
    for length in lengths:
        np.savez(folder / f"texts/{length:03}.npz", input_ids=np.arange(length)[None] % 30, **(more or {}))
    taken = f"--files {folder}/texts --batched --output {folder}/samples.npz --record {folder}/samples.json"
    sample_inputs.main(sample_inputs.parse_arguments(taken.split()))
    files = {"weights": "weights.safetensors", "weights-record": "weights.json", "samples": "samples.npz"}
    files |= {"samples-record": "samples.json"}
    files |= {"contract": "contract.json", "interface": "interface.json", "labels": "labels.txt"}
    given = [f"--{name}={folder / file}" for name, file in files.items()]
    given += [f"--{name}={json.dumps(value)}" for name, value in stated.items()]
    make_contract.main(make_contract.parse_arguments([*given, *options]))
    return Contract.read(folder / "contract.json"), (folder / "labels.txt").read_text(encoding="utf-8").splitlines()


def test_a_model_with_samples_has_its_own_tensors_and_labels_of_its_scores(tmp_path):
    contract, labels = contract_of(tmp_path, STATED)
    assert [tensor.shape for tensor in contract.inputs] == [(BATCH, "sequence")]
    given = {tensor.name: (tensor.shape, tensor.meaning.kind) for tensor in contract.outputs}
    assert given == {"scores": ((BATCH, 3), "logits"), "embedding": ((BATCH, 4), "tensor")}
    assert labels == ["class 0", "class 1", "class 2"]
    (tmp_path / "topics.txt").write_text("rain\nsun\nsnow\n", encoding="utf-8")
    _, labels = contract_of(tmp_path, STATED, f"--labels-from={tmp_path}/topics.txt")
    assert labels == ["rain", "sun", "snow"]
    (tmp_path / "topics.txt").write_text("rain\nsun\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match="names 2 classes, but the model has 3"):
        contract_of(tmp_path, STATED, f"--labels-from={tmp_path}/topics.txt")


def test_without_a_word_on_the_outputs_nothing_has_labels(tmp_path):
    contract, labels = contract_of(tmp_path, STATED | {"outputs": None})
    assert [tensor.meaning.kind for tensor in contract.outputs] == ["tensor", "tensor"]
    assert labels == []


def test_an_axis_that_nobody_names_is_asked_for_with_the_lines_to_add(tmp_path):
    with pytest.raises(SlipwayError, match=r"add `inputs: \{input_ids: \{shape: \[batch, length\]\}\}` and `axes: "):
        contract_of(tmp_path, {})
    assert not (tmp_path / "contract.json").exists()


# Nine samples are run, of the lengths 4, 6, 8, ...: the longest one is in the record of all samples alone.
LENGTHS = range(4, 22)


def test_the_suggested_sizes_of_an_axis_are_those_of_all_samples(tmp_path):
    with pytest.raises(SlipwayError, match=r"`axes: \{length: \{min: 4, opt: 12, max: 21\}\}`"):
        contract_of(tmp_path, {}, lengths=LENGTHS)
    fixed = {"inputs": {"input_ids": {"shape": ["batch", 4]}}}
    with pytest.raises(SlipwayError, match=r"the shape \(1, 6\) in a sample, but config.yaml says \[batch, 4\]"):
        contract_of(tmp_path, fixed, lengths=LENGTHS)


def test_a_sample_beyond_the_stated_sizes_is_refused_though_it_is_not_among_those_that_are_run(tmp_path):
    axes = {"axes": {"sequence": {"min": 1, "opt": 4, "max": 20}}}
    with pytest.raises(
        SlipwayError, match=r"the axis sequence of the inputs has the size 21, but the model takes 1 to"
    ):
        contract_of(tmp_path, STATED | axes, lengths=LENGTHS)
    assert not (tmp_path / "contract.json").exists()


def test_an_array_that_is_no_input_is_told_with_its_source_and_as_what_to_name_it(tmp_path):
    told = (
        r"`samples` in config.yaml, own.data:samples: the samples have label, which .* `metric: \{targets: \[label\]\}`"
    )
    with pytest.raises(SlipwayError, match=told) as caught:
        contract_of(tmp_path, STATED, "--samples-from=own.data:samples", more=LABEL)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "contract.json").exists()


LABEL = {"label": np.ones((1, 1))}
