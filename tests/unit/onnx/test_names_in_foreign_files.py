"""Tensors of an ONNX file get names that a configuration, a server and clients take."""

import numpy as np
import pytest
from helpers.models.foreign_files import ANY, answers, shapes, taken
from helpers.onnx_graphs import classifier, model, noise, tensor, weights
from onnx import helper

from slipway.core.errors import SlipwayError


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("serving_default_x:0", "serving_default_x"),
        ("model/input:0", "model_input"),
        ("input.1", "input.1"),
        ("my input", "my_input"),
        ("1839", "tensor_1839"),
        ("modèle", "mod_le"),
    ],
)
def test_names_that_no_configuration_takes_are_mapped_and_told(tmp_path, name, served):
    program, notes = taken(tmp_path, classifier(given=name, answer="StatefulPartitionedCall:0"), [{"x": ANY[0]["x"]}])
    assert list(shapes(program)) == [served, "StatefulPartitionedCall"]
    assert any(f"{name} is served as {served}" in note for note in notes) == (name != served)
    assert answers(program, {served: ANY[0]["x"]})[0].shape == (1, 3)


def test_samples_take_the_served_name(tmp_path):
    with pytest.raises(SlipwayError, match="the samples have in:0, but the ONNX file takes in; name the arrays"):
        taken(tmp_path, classifier(given="in:0"), [{"in:0": ANY[0]["x"]}])


def test_names_that_become_equal_stay_apart(tmp_path):
    nodes = [helper.make_node("Add", ["a:0", "a/0"], ["a_0"]), helper.make_node("Relu", ["a_0"], ["a 0"])]
    made = model(nodes, [tensor("a:0", ["N", 2]), tensor("a/0", ["N", 2])], [tensor("a 0", ["N", 2])])
    program, _ = taken(tmp_path, made, [{"a": noise(1, 2), "a_0": noise(1, 2)}])
    assert list(shapes(program)) == ["a", "a_0", "a_0_2"]
    one, other = noise(3, 2), noise(3, 2, seed=1)
    assert np.array_equal(answers(program, {"a": one, "a_0": other})[0], np.maximum(one + other, 0))


def test_names_inside_of_branches_are_mapped_too(tmp_path):
    branches = {
        f"{kind}_branch": helper.make_graph(
            [helper.make_node(operator, ["in:0"], [f"{kind}_out"])], kind, [], [tensor(f"{kind}_out", ["N", 2])]
        )
        for kind, operator in (("then", "Relu"), ("else", "Neg"))
    }
    nodes = [
        helper.make_node("ReduceMax", ["in:0"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["out"], **branches),
    ]
    made = model(nodes, [tensor("in:0", ["N", 2])], [tensor("out", ["N", 2])], weights(zero=np.float32(0)))
    program, _ = taken(tmp_path, made, [{"x": noise(1, 2)}])
    assert np.array_equal(answers(program, {"in": -np.ones((1, 2), np.float32)})[0], np.ones((1, 2)))
