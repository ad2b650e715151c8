"""The batch of an ONNX file is made dynamic where its samples prove that each keeps its answer."""

import numpy as np
import pytest
from helpers.models.foreign_files import ANY, answers, shapes, taken
from helpers.onnx_graphs import classifier, model, noise, tensor, weights
from onnx import helper

from slipway.benchmark.batch_independence import apart
from slipway.contract.contract import BATCH
from slipway.models.programs.onnx_file import load


def test_a_fixed_batch_becomes_dynamic_and_each_sample_keeps_its_answer(tmp_path):
    made = classifier()
    program, notes = taken(tmp_path, made)
    assert shapes(program) == {"x": [BATCH, 2, 4], "scores": [BATCH, 3]}
    assert any("was made dynamic" in note for note in notes)
    (together,) = answers(program, {"x": np.concatenate([sample["x"] for sample in ANY])})
    for row, sample in zip(together, ANY, strict=True):
        assert apart(answers(made, sample)[0][0], row) < 1e-6


def test_a_dynamic_batch_stays(tmp_path):
    program, notes = taken(tmp_path, classifier(batch="N"))
    assert (shapes(program)["x"], notes) == (["N", 2, 4], [])


@pytest.mark.parametrize("axis_of_softmax", [0, 1])
def test_a_reshape_that_mixes_the_samples_keeps_the_batch_fixed(tmp_path, axis_of_softmax):
    """Both graphs take any batch without an error, but a softmax over all values would mix the samples."""
    nodes = [
        helper.make_node("Reshape", ["x", "all"], ["row"]),
        helper.make_node("Softmax", ["row"], ["shares"], axis=axis_of_softmax),
        helper.make_node("Reshape", ["shares", "back"], ["y"]),
    ]
    row = np.array([-1] if axis_of_softmax == 0 else [1, -1])
    stored = weights(all=row, back=np.array([-1, 2, 4]))
    made = model(nodes, [tensor("x", [1, 2, 4])], [tensor("y", [1, 2, 4])], stored)
    program, notes = taken(tmp_path, made)
    if axis_of_softmax == 0:
        assert shapes(program)["x"] == [1, 2, 4]
        assert any("depends on" in note for note in notes)
    else:  # the sizes of one sample are known, so each gets a row of its own
        assert shapes(program)["x"] == [BATCH, 2, 4]
        (together,) = answers(program, {"x": np.concatenate([sample["x"] for sample in ANY])})
        assert apart(answers(made, ANY[1])[0][0], together[1]) < 1e-6


def test_a_resize_to_constant_sizes_takes_any_batch(tmp_path):
    nodes = [helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear")]
    sizes = weights(sizes=np.array([1, 2, 7, 9]))
    made = model(nodes, [tensor("x", [1, 2, 3, 4])], [tensor("y", [1, 2, 7, 9])], sizes)
    samples = [{"x": noise(1, 2, 3, 4, seed=seed)} for seed in range(2)]
    program, _ = taken(tmp_path, made, samples)
    assert shapes(program) == {"x": [BATCH, 2, 3, 4], "y": [BATCH, 2, 7, 9]}
    (together,) = answers(program, {"x": np.concatenate([sample["x"] for sample in samples])})
    assert apart(answers(made, samples[1])[0][0], together[1]) < 1e-6


def test_sizes_that_a_file_leaves_open_are_found(tmp_path):
    made = classifier()
    made.graph.output[0].type.tensor_type.ClearField("shape")
    program, notes = taken(tmp_path, made)
    assert shapes(program)["x"] == [BATCH, 2, 4]
    assert any("was made dynamic" in note for note in notes)
    made = classifier(batch="N")
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert shapes(taken(tmp_path, made)[0])["x"] == [0, 2, 4]
    assert load(tmp_path / "program").inputs[0].shape == (None, 2, 4)
    made.graph.input[0].type.tensor_type.ClearField("shape")
    taken(tmp_path, made)
    assert load(tmp_path / "program").inputs[0].shape == (None, None, None)


def test_inputs_of_which_only_some_have_a_dynamic_batch_are_told(tmp_path):
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    made = model(nodes, [tensor("a", [1, 3]), tensor("b", ["N", 3])], [tensor("y", ["N", 3])])
    _, notes = taken(tmp_path, made, [{"a": noise(1, 3), "b": noise(1, 3)}])
    assert any("served without a batch axis" in note for note in notes)


def test_a_batch_inside_of_a_constant_state_keeps_the_batch_fixed(tmp_path):
    nodes = [helper.make_node("Concat", ["x", "token"], ["y"], axis=1)]
    made = model(nodes, [tensor("x", [1, 2, 4])], [tensor("y", [1, 3, 4])], weights(token=noise(1, 1, 4)))
    program, notes = taken(tmp_path, made)
    assert shapes(program)["x"] == [1, 2, 4]
    assert any("do not take a batch of several samples" in note for note in notes)
