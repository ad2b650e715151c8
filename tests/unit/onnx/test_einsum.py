"""Equations of Einsum nodes have lower-case letters, since TensorRT reads no others."""

import numpy as np
import onnx
import onnxruntime
import pytest

from slipway.onnx.export import lower_einsum, lowered

# Of torchvision's maxvit_t: the attention over windows.
MAXVIT = ("B G H I D, B G H J D -> B G H I J", "B G H I J, B G H J D -> B G H I D")


@pytest.mark.parametrize(
    ("equation", "said"),
    [
        (MAXVIT[0], "b g h i d, b g h j d -> b g h i j"),
        ("aA,Ab->ab", "ac,cb->ab"),
        ("abc,AB->abcAB", "abc,de->abcde"),
        ("...ij,...jk->...ik", "...ij,...jk->...ik"),
    ],
)
def test_each_letter_stays_another(equation, said):
    assert lowered(equation) == said


def test_the_sums_stay_the_same():
    random = np.random.default_rng(0)
    queries, keys = (random.standard_normal((2, 3, 2, size, 8), np.float32) for size in (4, 5))
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("q", queries.shape), ("k", keys.shape), ("out", None))
    ]
    node = onnx.helper.make_node("Einsum", ["q", "k"], ["out"], equation=MAXVIT[0])
    graph = onnx.helper.make_graph([node], "attention", values[:2], values[2:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    lower_einsum(model)
    assert model.graph.node[0].attribute[0].s == b"b g h i d, b g h j d -> b g h i j"
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.einsum("bghid,bghjd->bghij", queries, keys)
    np.testing.assert_allclose(session.run(None, {"q": queries, "k": keys})[0], expected, rtol=1e-5, atol=1e-5)
