"""An ONNX file from any exporter is read, or refused in a sentence that names its defect."""

import numpy as np
import onnx
import pytest
from helpers.models.foreign_files import ANY, answers, shapes, taken
from helpers.onnx_graphs import classifier, model, noise, saved, tensor, weights
from onnx import TensorProto, helper

from slipway.benchmark.batch_independence import apart
from slipway.contract.contract import BATCH
from slipway.core.errors import SlipwayError
from slipway.models.programs.onnx_file import load, take
from slipway.onnx.data_files import data_names
from slipway.onnx.foreign_file import read_onnx


@pytest.mark.parametrize(("opset", "ir"), [(7, 3), (9, 3), (11, 6), (13, 7), (17, 8), (20, 9), (23, 10), (25, 13)])
def test_files_of_each_opset_and_ir_version_answer_as_before(tmp_path, opset, ir):
    made = classifier(opset=opset, ir=ir)
    if ir == 3:  # each weight was an input, too
        made.graph.input.extend(tensor(each.name, each.dims, each.data_type) for each in made.graph.initializer)
    program, _ = taken(tmp_path, made)
    assert [value.name for value in program.graph.input] == ["x"]
    for sample in ANY:
        (own,), (other,) = answers(made, sample), answers(program, sample)
        assert apart(own, other) < 1e-6


def test_functions_are_inlined(tmp_path):
    twice = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="mine")]
    made = model(nodes, [tensor("x", ["N", 2, 4])], [tensor("y", ["N", 2, 4])], domains={"mine": 1}, functions=[twice])
    program, _ = taken(tmp_path, made)
    assert not program.functions
    assert [node.op_type for node in program.graph.node] == ["Add"]
    assert np.allclose(answers(program, ANY[0])[0], 2 * ANY[0]["x"])


def test_weights_that_nodes_share_and_several_outputs_stay(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["once"]),
        helper.make_node("MatMul", ["once", "w"], ["twice"]),
    ]
    made = model(
        nodes, [tensor("x", [1, 4])], [tensor("once", [1, 4]), tensor("twice", [1, 4])], weights(w=noise(4, 4))
    )
    program, _ = taken(tmp_path, made, [{"x": noise(1, 4)}])
    assert len(program.graph.initializer) == 1
    assert shapes(program) == {name: [BATCH, 4] for name in ("x", "once", "twice")}


def test_quantised_files_are_taken_as_they_are_and_told(tmp_path):
    scale, zero = weights(scale=np.float32(0.05), zero=np.int8(0))
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    made = model(nodes, [tensor("x", [1, 2, 4])], [tensor("y", [1, 2, 4])], [scale, zero])
    program, notes = taken(tmp_path, made)
    assert [node.op_type for node in program.graph.node] == ["QuantizeLinear", "DequantizeLinear"]
    assert any("quantised already" in note for note in notes)


def test_weights_beside_the_file_are_taken_in(tmp_path):
    made = classifier()
    program, _ = taken(tmp_path, classifier(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert data_names(tmp_path / "model.onnx") == ["weights.bin"]
    (tmp_path / "weights.bin").unlink()
    assert apart(answers(made, ANY[0])[0], answers(program, ANY[0])[0]) < 1e-6


def test_a_file_alone_is_keyed_alone(tmp_path):
    path = saved(classifier(), tmp_path / "model.onnx")
    assert data_names(path) == []


def test_missing_and_foreign_weights_beside_the_file_are_told(tmp_path):
    path = saved(classifier(), tmp_path / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    content = (tmp_path / "w.bin").read_bytes()
    (tmp_path / "w.bin").unlink()
    for asked in (read_onnx, data_names):
        with pytest.raises(SlipwayError, match=r"w\.bin, which is not beside it"):
            asked(path)
    (tmp_path / "w.bin").write_bytes(content[:10])
    with pytest.raises(SlipwayError, match="copy all files of the model again"):
        read_onnx(path)
    made = onnx.load(path, load_external_data=False)
    for each in made.graph.initializer:
        each.external_data[0].value = "../w.bin"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(SlipwayError, match="outside of its own folder"):
        read_onnx(path)


@pytest.mark.parametrize("cut", [0, 1, 40, 100])
def test_a_truncated_file_is_told(tmp_path, cut):
    path = saved(classifier(), tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SlipwayError, match=r"truncated or no ONNX file|no ONNX file, or one without a graph|empty"):
        take(path, tmp_path / "program", ANY)
    assert not (tmp_path / "program").exists()


@pytest.mark.parametrize("content", [b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(200), b"hello, world", bytes(100)])
def test_a_file_of_another_format_is_told(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(SlipwayError, match="no ONNX file"):
        read_onnx(path)


REFUSED = {
    "sequence": (
        model(
            [helper.make_node("SequenceConstruct", ["x"], ["s"])],
            [tensor("x", [1, 2])],
            [helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [1, 2])],
        ),
        "the output s of .* is a sequence",
    ),
    "texts": (
        model(
            [helper.make_node("Identity", ["x"], ["y"])],
            [tensor("x", [1], TensorProto.STRING)],
            [tensor("y", [1], TensorProto.STRING)],
        ),
        "the input x of .* has values of the type string",
    ),
    "domain": (
        model(
            [helper.make_node("Mine", ["x"], ["y"], "m", domain="acme")],
            [tensor("x", [1])],
            [tensor("y", [1])],
            domains={"acme": 1},
        ),
        r"the node m \(Mine of acme\)",
    ),
    "newest": (
        model([helper.make_node("Relu", ["x"], ["y"])], [tensor("x", [1])], [tensor("y", [1])], opset=26, ir=13),
        "has the opset 26, but ONNX Runtime reads 25 at most",
    ),
    "no input": (
        model([helper.make_node("Relu", ["w"], ["y"])], [], [tensor("y", [1])], weights(w=np.float32([1]))),
        "has no input",
    ),
    "batch normalisation in training": (
        model(
            [helper.make_node("BatchNormalization", ["x", *"sbmv"], ["y", "m2", "v2"], "norm", training_mode=1)],
            [tensor("x", ["N", 2])],
            [tensor("y", ["N", 2])],
            weights(**{name: np.ones(2, np.float32) for name in "sbmv"}),
        ),
        r"the node norm \(BatchNormalization\) of .* is in training mode",
    ),
    "dropout in training": (
        model(
            [helper.make_node("Dropout", ["x", "ratio", "on"], ["y"], "drop")],
            [tensor("x", ["N", 2])],
            [tensor("y", ["N", 2])],
            weights(ratio=np.float32(0.5), on=np.array(True)),
        ),
        r"the node drop \(Dropout\) of .* is in training mode",
    ),
}


@pytest.mark.parametrize("defect", REFUSED)
def test_what_cannot_be_served_is_told(tmp_path, defect):
    made, message = REFUSED[defect]
    with pytest.raises(SlipwayError, match=message):
        taken(tmp_path, made)
    assert not (tmp_path / "program").exists()


def test_operators_of_microsoft_are_taken_and_told(tmp_path):
    nodes = [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")]
    made = model(nodes, [tensor("x", [1, 2, 4])], [tensor("y", [1, 2, 4])], domains={"com.microsoft": 1})
    _, notes = taken(tmp_path, made)
    assert any("com.microsoft (Gelu), which only ONNX Runtime has" in note for note in notes)


def test_a_sample_that_the_file_does_not_take_is_told(tmp_path):
    for array, message in [(noise(1, 2, 5), "takes x float32"), (noise(1, 2, 4).astype(np.float64), "that dtype")]:
        with pytest.raises(SlipwayError, match=message):
            taken(tmp_path, classifier(), [{"x": array}])


def test_the_network_tells_its_last_operation_and_the_inputs_that_it_does_not_use(tmp_path):
    for last, name in [("Softmax", "softmax"), ("Sigmoid", "sigmoid"), ("LogSoftmax", "log_softmax")]:
        taken(tmp_path, classifier(last=last))
        assert load(tmp_path / "program").last_operation("scores") == name
    made = classifier(batch="N")
    made.graph.input.append(tensor("idle", ["N", 1]))
    taken(tmp_path, made, [{**ANY[0], "idle": noise(1, 1)}])
    assert load(tmp_path / "program").unused_inputs(["scores"]) == ["idle"]
