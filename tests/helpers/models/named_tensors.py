"""ONNX files of several inputs and outputs with dynamic axes, and their interfaces as an ONNX record has them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TYPES = {"int64": TensorProto.INT64, "float32": TensorProto.FLOAT, "bool": TensorProto.BOOL}
SEQUENCE = {"min": 1, "opt": 6, "max": 12}
WORDS, WIDTH = 40, 8


def text_interface(batch=("batch",), booleans=True):
    """Return the interface of `write_text`; with `batch` () it takes one sequence without a batch axis."""
    known = [("known", "bool", (*batch, "sequence"))] if booleans else []
    return interface(
        inputs=[("ids", "int64", (*batch, "sequence")), ("mask", "int64", (*batch, "sequence"))],
        outputs=[
            ("scores", "float32", (*batch, 3)),
            ("tokens", "float32", (*batch, "sequence", WIDTH)),
            ("best", "int64", (*batch, 1)),
            *known,
        ],
        axes={"sequence": SEQUENCE},
    )


def map_interface():
    """Return the interface of `write_map`."""
    return interface(
        inputs=[("image", "float32", ("batch", 3, "height", "width"))],
        outputs=[
            ("masks", "float32", ("batch", 4, "height", "width")),
            ("best", "int64", ("batch", "height", "width")),
        ],
        axes={"height": {"min": 16, "opt": 32, "max": 64}, "width": {"min": 16, "opt": 48, "max": 64}},
    )


def interface(inputs, outputs, axes):
    names = ("name", "dtype", "shape")
    sides = {"inputs": inputs, "outputs": outputs}
    described = {
        side: [dict(zip(names, (*tensor[:2], list(tensor[2])), strict=True)) for tensor in tensors]
        for side, tensors in sides.items()
    }
    return {**described, "axes": axes}


def write_text(path, batch=("batch",), booleans=True, training=5):
    """Write a network of embedded tokens, their sum by a mask, and scores; return a function that answers as it.

    The scores are a convolution, since TensorRT 8 needs cuBLAS for a matrix product.
    """
    random = np.random.default_rng(training)
    front = [-1] if batch else []
    constants = {
        "table": random.standard_normal((WORDS, WIDTH), dtype=np.float32),
        "weights": random.standard_normal((3, WIDTH, 1, 1), dtype=np.float32),
        "last": np.int64([-1]),
        "along": np.int64([-2]),
        "as_picture": np.int64([-1, WIDTH, 1, 1]),
        "as_scores": np.int64([*front, 3]),
        "as_row": np.int64([*front, 1, 3]),
        "zero": np.int64(0),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedded"], "look_up"),
        helper.make_node("Cast", ["mask"], ["shares"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["shares", "last"], ["column"], "column"),
        helper.make_node("Mul", ["embedded", "column"], ["masked"], "mask"),
        helper.make_node("Tanh", ["masked"], ["tokens"], "tokens"),
        helper.make_node("ReduceSum", ["tokens", "along"], ["sum"], "sum", keepdims=0),
        helper.make_node("Reshape", ["sum", "as_picture"], ["picture"], "picture"),
        helper.make_node("Conv", ["picture", "weights"], ["product"], "product"),
        helper.make_node("Reshape", ["product", "as_scores"], ["scores"], "scores"),
        helper.make_node("Reshape", ["product", "as_row"], ["row"], "row"),
        helper.make_node("ArgMax", ["row"], ["best"], "best", axis=-1, keepdims=0),
        *([helper.make_node("Greater", ["ids", "zero"], ["known"], "known")] if booleans else []),
    ]
    return write(path, nodes, constants, text_interface(batch, booleans))


def write_map(path):
    """Write a convolution that halves the picture, back to its size, and the best of 4 classes for each pixel."""
    constants = {
        "weights": np.random.default_rng(6).standard_normal((4, 3, 3, 3), dtype=np.float32),
        "zero": np.int64([0]),
        "two": np.int64([2]),
        "four": np.int64([4]),
    }
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["half"], "halve", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Shape", ["image"], ["sizes"]),
        helper.make_node("Slice", ["sizes", "two", "four"], ["size"]),
        helper.make_node("Shape", ["half"], ["half_sizes"]),
        helper.make_node("Slice", ["half_sizes", "zero", "two"], ["front"]),
        helper.make_node("Concat", ["front", "size"], ["whole"], axis=0),
        helper.make_node("Resize", ["half", "", "", "whole"], ["masks"], mode="linear"),
        helper.make_node("ArgMax", ["masks"], ["best"], axis=1, keepdims=0),
    ]
    return write(path, nodes, constants, map_interface())


def write(path, nodes, constants, described):
    """Write an ONNX file of an interface; return a function from named inputs to named outputs."""
    sides = (
        [helper.make_tensor_value_info(each["name"], TYPES[each["dtype"]], each["shape"]) for each in described[side]]
        for side in ("inputs", "outputs")
    )
    arrays = [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "named", *sides, arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    evaluator = ReferenceEvaluator(str(path))
    names = [each["name"] for each in described["outputs"]]
    return lambda inputs: dict(zip(names, map(np.asarray, evaluator.run(None, inputs)), strict=True))


def texts(*shape, seed=0):
    """Return ids and mask of a shape that ends in the length of the sequence."""
    random = np.random.default_rng(seed)
    return {"ids": random.integers(0, WORDS, shape), "mask": (random.random(shape) < 0.7).astype(np.int64)}


def images(count, height, width, seed=0):
    """Return a batch of random pictures (count, 3, height, width)."""
    return {"image": np.random.default_rng(seed).standard_normal((count, 3, height, width), dtype=np.float32)}


def assert_same(outputs, expected, tolerance=1e-4):
    """Require the expected outputs: integers of any width and truth values exactly, floats within a tolerance."""
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        if values.dtype.kind == "f":
            assert outputs[name].dtype == values.dtype
            np.testing.assert_allclose(outputs[name], values, tolerance, tolerance, err_msg=name)
        else:
            assert outputs[name].dtype.kind == values.dtype.kind
            np.testing.assert_array_equal(outputs[name], values, name)
