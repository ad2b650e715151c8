"""What graphs, engines and measurements are keyed on: the tensors of a model, not their values or meaning."""

import copy

import numpy as np
import pytest
from helpers.artifacts.configured import job_keys

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TEXT = {
    "architecture": "own.text:classifier",
    "weights": "text.pth",
    "samples": "data.npz",
    "inputs": {
        "input_ids": {"dtype": "int64", "shape": ["batch", "sequence"], "pad": 0},
        "mask": {"dtype": "int64", "shape": ["batch", "sequence"], "pad": 0},
    },
    "axes": {"sequence": {"min": 1, "opt": 64, "max": 128}},
    "outputs": {"scores": "logits", "embedding": "tensor"},
}
# Engines and measurements follow from the ONNX file.
OF_THE_GRAPH = {"export_onnx": (), "profile_model": ()}
MEASURED = {"load_test": ("cpu",)}


@pytest.fixture(autouse=True)
def files(in_an_empty_folder, tmp_path):
    (tmp_path / "text.pth").touch()
    (tmp_path / "topics.txt").write_text("rain\nsun\n", encoding="utf-8")
    np.savez(tmp_path / "data.npz", input_ids=np.zeros((2, 4), int), mask=np.ones((2, 4), int))


def keys_of(model):
    """Return {rule: key} of the jobs that make and measure graphs, of the contract, and of the samples."""
    keys = job_keys(models={"m": model})
    rules = {**OF_THE_GRAPH, **MEASURED, "make_contract": (), "sample_inputs": (), "quantize_onnx": ("int8",)}
    rules |= {"evaluate_checkpoint": (), "check_accuracy": ("cpu", "bf16")}
    return {rule: repr(getattr(keys, rule)("m", *targets)) for rule, targets in rules.items()}


EVALUATED = {"evaluate_checkpoint", "check_accuracy"}


def stale_after(change, model=TEXT):
    """Return the rules whose key differs after `change` of a copy of the model's settings."""
    changed = copy.deepcopy(model)
    before = keys_of(model)
    change(changed)
    after = keys_of(changed)
    return {rule for rule in before if before[rule] != after[rule]}


def other_values(_):
    np.savez("data.npz", input_ids=np.ones((2, 4), int), mask=np.ones((2, 4), int))


def test_other_labels_meanings_and_metrics_make_no_graph_stale():
    assert stale_after(lambda model: model.update(labels="topics.txt")) == {"make_contract", "evaluate_checkpoint"}
    assert stale_after(lambda model: model["outputs"].update(scores="sigmoid")) == {"make_contract"}
    metric = {"function": "own.text:accuracy", "limits": {"accuracy": {"min": 0.9}}}
    assert stale_after(lambda model: model.update(metric=metric)) == EVALUATED


def test_other_targets_and_target_values_make_the_samples_and_the_accuracy_stale_alone():
    metric = {"function": "own.text:accuracy", "targets": ["label"]}
    model = TEXT | {"metric": metric, "calibration": {"samples": "scales.npz"}}
    np.savez("scales.npz", input_ids=np.zeros((2, 4), int), mask=np.ones((2, 4), int))
    assert stale_after(lambda changed: changed["metric"].update(targets=["topic"]), model) == {
        "sample_inputs",
        *EVALUATED,
    }
    labelled = {"input_ids": np.zeros((2, 4), int), "mask": np.ones((2, 4), int), "label": np.ones(2)}
    assert stale_after(lambda _: np.savez("data.npz", **labelled), model) == {"sample_inputs", *EVALUATED}


def test_an_array_that_becomes_a_target_changes_a_graph_whose_inputs_are_found():
    metric = {"function": "own.text:accuracy", "targets": ["label"]}
    found = {**TEXT, "inputs": None, "axes": {}, "metric": metric}
    assert "export_onnx" in stale_after(lambda model: model["metric"].update(targets=["label", "mask"]), found)


def test_other_values_of_samples_make_no_graph_stale_where_the_inputs_are_stated():
    assert stale_after(other_values) == {"sample_inputs", *EVALUATED}


@pytest.mark.parametrize("missing", ["dtype", "shape"])
def test_samples_of_which_a_dtype_or_shape_is_found_are_part_of_the_graph(missing):
    model = copy.deepcopy(TEXT)
    del model["inputs"]["mask"][missing]
    assert stale_after(other_values, model) == {"sample_inputs", *OF_THE_GRAPH, *EVALUATED}


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model["axes"]["sequence"].update(max=256),
        lambda model: model["inputs"]["mask"].update(dtype="int32"),
        lambda model: model["inputs"]["mask"].update(shape=["batch", 7]),
        lambda model: model["inputs"]["mask"].update(pad=1),
        lambda model: model.update(outputs={"embedding": "tensor", "scores": "logits"}),
    ],
    ids=["axis", "dtype", "shape", "pad", "order of outputs"],
)
def test_another_range_dtype_or_shape_makes_everything_stale(change):
    assert stale_after(change) == {"make_contract", *OF_THE_GRAPH}


def test_a_photograph_is_normalised_by_the_graph_only_as_uint8():
    statistics = {"preprocess": {"mean": [0.5, 0.5, 0.5]}}
    assert "export_onnx" not in stale_after(lambda model: model.update(statistics), {"input": "float32"})
    assert "export_onnx" in stale_after(lambda model: model.update(statistics), {"input": "uint8"})
    assert stale_after(lambda model: model.update(output="sigmoid"), {}) == {"make_contract"}
