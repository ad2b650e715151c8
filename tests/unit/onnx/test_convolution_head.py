import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from slipway.onnx.convolution_head import with_convolution_head

CHANNELS, CLASSES = 6, 4


def network(pool=True, flattening="Flatten", bias=True, **attributes):
    """Return pool, flatten, Gemm on inputs (N, 6, 5, 5) or, without the pool, (N, 6, 1, 1)."""
    random = np.random.default_rng(0)
    stored = {
        "weights": random.standard_normal((CLASSES, CHANNELS), dtype=np.float32),
        "bias": random.standard_normal(CLASSES, dtype=np.float32),
        "shape": np.array([-1, CHANNELS], dtype=np.int64),
    }
    nodes = [helper.make_node("GlobalAveragePool" if pool else "Relu", ["input"], ["pooled"])]
    reading = ["pooled", "shape"] if flattening == "Reshape" else ["pooled"]
    mean = {"axes": [2, 3], "keepdims": 0} if flattening == "ReduceMean" else {}
    nodes.append(helper.make_node(flattening, reading, ["flat"], **mean))
    reading = ["flat", "weights", *(["bias"] if bias else [])]
    nodes.append(helper.make_node("Gemm", reading, ["logits"], name="fc", **({"transB": 1} | attributes)))
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", CHANNELS, 5, 5])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def operators(model):
    return [node.op_type for node in model.graph.node]


def answer(model, images):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": images})[0]


@pytest.mark.parametrize("flattening", ["Flatten", "Reshape"])
def test_the_classifier_becomes_a_convolution_and_answers_the_same(flattening):
    before = network(flattening=flattening)
    after = with_convolution_head(before)
    onnx.checker.check_model(after, full_check=True)
    assert operators(after) == ["GlobalAveragePool", "Conv", "Flatten"]
    assert list(onnx.helper.get_node_attr_value(after.graph.node[1], "kernel_shape")) == [1, 1]
    images = np.random.default_rng(1).standard_normal((3, CHANNELS, 5, 5), dtype=np.float32)
    assert np.allclose(answer(before, images), answer(after, images), atol=1e-5)


def test_a_mean_over_the_pixels_becomes_a_pool():
    before = network(pool=False, flattening="ReduceMean")
    after = with_convolution_head(before)
    onnx.checker.check_model(after, full_check=True)
    assert operators(after) == ["Relu", "GlobalAveragePool", "Conv", "Flatten"]
    images = np.random.default_rng(1).standard_normal((3, CHANNELS, 5, 5), dtype=np.float32)
    assert np.allclose(answer(before, images), answer(after, images), atol=1e-5)


@pytest.mark.parametrize("attributes", [{"alpha": 0.5}, {"beta": 2.0}], ids=["alpha", "beta"])
def test_a_scaled_product_is_left_alone(attributes):
    assert operators(with_convolution_head(network(**attributes)))[-1] == "Gemm"


def test_a_product_without_bias_is_left_alone():
    assert operators(with_convolution_head(network(bias=False)))[-1] == "Gemm"


def test_more_than_one_pixel_is_left_alone():
    model = network(pool=False)
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.zeros((CLASSES, CHANNELS * 25), np.float32), "weights")
    )
    assert operators(with_convolution_head(model)) == operators(model)


def test_what_was_given_stays_as_it_was():
    model = network()
    before = model.SerializeToString()
    with_convolution_head(model)
    assert model.SerializeToString() == before
