import numpy as np
import onnx
import pytest
from helpers.models.tiny_network import CROP, exported
from onnx import TensorProto, helper, numpy_helper

import cast_onnx
from slipway.onnx.onnx_files import described
from slipway.onnx.onnx_structure import digests


def network(seed=0, width=8, kernel=3, opset=17, epsilon=1e-5, scale=0.1, factor=0.5, mean=0.5, names="n"):
    """Return a graph with every kind of constant: weights, a scale, a factor, a mean, a shape, an attribute."""
    random = np.random.default_rng(seed)
    constants = {
        "mean": np.full((1, 3, 1, 1), mean, np.float32),
        "kernel": random.standard_normal((width, 3, kernel, kernel), dtype=np.float32),
        "bias": random.standard_normal(width, dtype=np.float32),
        **{name: random.random(width, dtype=np.float32) + 0.5 for name in ("gamma", "beta", "middle", "spread")},
        "factor": np.float32(factor),
        "scale": np.float32(scale),
        "zero": np.int8(0),
        "shape": np.array([0, -1]),
    }
    nodes = [
        ("Sub", ["input", "mean"], "centred", {}),
        ("QuantizeLinear", ["kernel", "scale", "zero"], "kernel_q", {}),
        ("DequantizeLinear", ["kernel_q", "scale", "zero"], "kernel_dq", {}),
        ("Conv", ["centred", "kernel_dq", "bias"], "features", {}),
        ("BatchNormalization", ["features", "gamma", "beta", "middle", "spread"], "normal", {"epsilon": epsilon}),
        ("Mul", ["normal", "factor"], "scaled", {}),
        ("Reshape", ["scaled", "shape"], "logits", {}),
    ]
    graph = helper.make_graph(
        [
            helper.make_node(kind, inputs, [output], f"{names}{index}", **attributes)
            for index, (kind, inputs, output, attributes) in enumerate(nodes)
        ],
        "any name",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "M"])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def same(first, second):
    """Return whether structure and topology of two graphs are the same."""
    found = zip(digests(first).values(), digests(second).values(), strict=True)
    return tuple(one == other for one, other in found)


def test_other_weights_leave_both_digests():
    assert same(network(seed=0), network(seed=1)) == (True, True)


@pytest.mark.parametrize(
    "change",
    [{"width": 16}, {"kernel": 5}, {"opset": 16}, {"epsilon": 1e-3}, {"names": "m"}],
    ids=["width", "kernel", "opset", "attribute", "names"],
)
def test_another_network_changes_both(change):
    assert same(network(), network(**change)) == (False, False)


@pytest.mark.parametrize("change", [{"scale": 0.2}, {"factor": 0.6}, {"mean": 0.4}], ids=["scale", "factor", "mean"])
def test_a_constant_that_is_no_weight_changes_the_structure(change):
    assert same(network(), network(**change)) == (False, True)


def test_comments_metadata_and_the_form_of_the_values_are_in_neither():
    plain, noted = network(), network()
    noted.doc_string, noted.producer_name, noted.graph.name, noted.graph.doc_string = "a", "b", "c", "d"
    noted.graph.node[0].doc_string = "e"
    onnx.helper.set_model_props(noted, {"f": "g"})
    mean = next(tensor for tensor in noted.graph.initializer if tensor.name == "mean")
    mean.float_data.extend(numpy_helper.to_array(mean).reshape(-1).tolist())
    mean.ClearField("raw_data")
    noted.graph.initializer.reverse()
    assert same(plain, noted) == (True, True)


def test_a_constant_node_counts_as_an_initializer_does():
    def with_constant(value, reader):
        tensor = numpy_helper.from_array(np.full((1, 3, 1, 1), value, np.float32))
        model = network()
        model.graph.node.insert(0, helper.make_node("Constant", [], ["held"], "constant", value=tensor))
        model.graph.node[1].CopyFrom(helper.make_node(reader, ["input", "held"], ["centred"], "n0"))
        return model

    assert same(with_constant(1, "Add"), with_constant(2, "Add")) == (True, True)
    assert same(with_constant(1, "Sub"), with_constant(2, "Sub")) == (False, True)


def test_quantised_weights_are_part_of_the_structure_alone():
    def quantised(seed):
        model = network()
        values = np.random.default_rng(seed).integers(-127, 128, (8, 3, 3, 3), dtype=np.int8)
        del model.graph.node[1]
        kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "kernel")
        kernel.CopyFrom(numpy_helper.from_array(values, "kernel_q"))
        return model

    assert same(quantised(0), quantised(0)) == (True, True)
    assert same(quantised(0), quantised(1)) == (False, True)


def test_what_is_read_as_a_weight_and_otherwise_is_no_weight():
    def read_twice(seed):
        model = network(seed)
        model.graph.node.append(helper.make_node("Clip", ["logits", "bias"], ["clipped"], "clip"))
        return model

    assert same(read_twice(0), read_twice(1)) == (False, True)


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("variant", ["fp32", "fp16", "bf16"])
def test_retraining_changes_neither_digest_of_what_is_exported(tmp_path, opset, variant):
    found = []
    for training in (1, 2):
        path, record = exported(tmp_path, "uint8", opset, training)
        if variant != "fp32":
            options = f"--onnx {path} --onnx-record {record} --output {tmp_path}/low.onnx --record {tmp_path}/low.json"
            options += f" --samples {tmp_path}/uint8.samples.npz --variant {variant}"
            cast_onnx.main(cast_onnx.parse_arguments(options.split()))
            path = tmp_path / "low.onnx"
        found.append(described(path))
    first, second = found
    assert first["sha256"] != second["sha256"]
    for name in ("structure_sha256", "topology_sha256"):
        assert first[name] == second[name]


def test_another_crop_is_another_network(tmp_path):
    path, _ = exported(tmp_path)
    model = onnx.load(path)
    before = digests(model)
    for axis in (2, 3):
        assert model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value == CROP
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 2 * CROP
    assert digests(model).items().isdisjoint(before.items())
