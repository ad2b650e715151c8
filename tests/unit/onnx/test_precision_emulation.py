"""FP16 and BF16 on a CPU: overflow and rounding show, which ONNX Runtime's own kernels hide."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from slipway.onnx.onnx_files import session_of
from slipway.onnx.precision_emulation import emulated, half_tensors

HALF = {TensorProto.FLOAT16: np.float16, TensorProto.BFLOAT16: ml_dtypes.bfloat16}
X = np.array([1.2345678, 0.001, 300.0], np.float32).reshape(1, 1, 3)


def chain(kind, output=TensorProto.FLOAT):
    """Return x -> Cast -> Conv (times 1000) -> Conv (times 1000) -> Conv (times 1e-6) -> y, between in a type."""
    weights = {name: np.full((1, 1, 1), value, HALF[kind]) for name, value in (("up", 1000.0), ("down", 1e-6))}
    tensors = [
        helper.make_tensor(name, kind, values.shape, values.tobytes(), raw=True) for name, values in weights.items()
    ]
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], "first", to=kind),
        helper.make_node("Conv", ["a", "up"], ["b"], "once"),
        helper.make_node("Conv", ["b", "up"], ["c"], "twice"),
        helper.make_node("Conv", ["c", "down"], ["d"], "back"),
        helper.make_node("Cast", ["d"], ["y"], "last", to=output),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 3])]
    graph = helper.make_graph(nodes, "chain", inputs, [helper.make_tensor_value_info("y", output, [1, 1, 3])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def answer(model):
    onnx.checker.check_model(model, full_check=True)
    return session_of(model).run(None, {"x": X})[0]


def by_hand(kind):
    """Return the answer in FP32 steps, each rounded to the type."""
    half = HALF[kind]
    values = X.astype(half).astype(np.float32)
    for factor in (1000.0, 1000.0, 1e-6):
        with np.errstate(over="ignore"):
            values = (values * np.float32(half(factor))).astype(half).astype(np.float32)
    return values


@pytest.mark.parametrize("kind", HALF)
def test_each_tensor_is_rounded_as_its_type_is(kind):
    np.testing.assert_array_equal(answer(emulated(chain(kind))), by_hand(kind))
    assert set(half_tensors(chain(kind))) == {"a", "b", "c", "d"}


def test_values_beyond_fp16_become_infinite_where_onnx_runtime_alone_hides_it():
    model = chain(TensorProto.FLOAT16)
    assert np.isfinite(answer(model)).all()  # its kernels; where one day they are not, this form is needed no more
    assert np.isinf(answer(emulated(model))).tolist() == [[[True, False, True]]]


def test_an_output_of_the_graph_keeps_its_type():
    model = emulated(chain(TensorProto.FLOAT16, output=TensorProto.FLOAT16))
    assert answer(model).dtype == np.float16


def test_a_model_in_fp32_stays_as_it_is():
    weights = numpy_helper.from_array(np.ones(3, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"], "mul")],
        "plain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    assert emulated(model) is model
