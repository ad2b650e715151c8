"""A text model small enough to build in a moment: token ids and their mask in, scores and more out."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slipway.contract.contract import Axis, Contract, Tensor
from slipway.core.artifacts import sha256, write_json
from slipway.engines.engine_artifact import BuiltEngine
from slipway.outputs.meaning import LOGITS
from slipway.runtimes import RUNTIMES, engine_files, runtime

WORDS, WIDTH, CLASSES = 50, 4, 3
TEXT = Contract(
    (
        Tensor("input_ids", "int64", ("batch", "sequence"), pad=0),
        Tensor("attention_mask", "int64", ("batch", "sequence"), pad=0),
    ),
    (
        Tensor("scores", "float32", ("batch", CLASSES), meaning=LOGITS),
        Tensor("tokens", "float32", ("batch", "sequence", WIDTH)),
        Tensor("length", "int64", ("batch",)),
    ),
    {"sequence": Axis(1, 4, 16)},
)
WHOLE = Contract(
    (Tensor("signal", "float32", (2, "time")), Tensor("gain", "float32", (1,))),
    (Tensor("louder", "float32", (2, "time")),),
    {"time": Axis(1, 8, 100)},
)


def text_engine(folder, name="openvino"):
    """Build the engine of TEXT: the mean of the words' vectors, their scores, the vectors, the number of words."""
    random = np.random.default_rng(0)
    weights = {
        "table": random.standard_normal((WORDS, WIDTH), dtype=np.float32),
        "head": random.standard_normal((WIDTH, CLASSES), dtype=np.float32),
        "last": np.int64([2]),
        "second": np.int64([1]),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["masks"]),
        helper.make_node("Mul", ["vectors", "masks"], ["tokens"]),
        helper.make_node("ReduceSum", ["tokens", "second"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["masks", "second"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "head"], ["scores"]),
        helper.make_node("ReduceSum", ["attention_mask", "second"], ["length"], keepdims=0),
    ]
    return _built(folder, "text", TEXT, nodes, weights, name)


def whole_engine(folder, name="openvino"):
    """Build the engine of WHOLE, which has no batch axis: a signal of two channels, louder."""
    return _built(folder, "whole", WHOLE, [helper.make_node("Mul", ["signal", "gain"], ["louder"])], {}, name)


def text_of(*words):
    """Return the inputs for one text, without padding."""
    return {"input_ids": np.int64([words]), "attention_mask": np.ones((1, len(words)), np.int64)}


def _built(folder, model, contract, nodes, weights, name):
    folder.mkdir(parents=True, exist_ok=True)
    sides = [
        [helper.make_tensor_value_info(tensor.name, _type(tensor), list(tensor.shape)) for tensor in tensors]
        for tensors in (contract.inputs, contract.outputs)
    ]
    constants = [numpy_helper.from_array(array, constant) for constant, array in weights.items()]
    graph = helper.make_graph(nodes, model, *sides, constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / f"{model}.onnx"
    )
    path = folder / f"{model}.fp32{RUNTIMES[name].suffixes[0]}"
    runtime(name).build(folder / f"{model}.onnx", path, "fp32", {})
    record = folder / f"{model}.engine.json"
    files = {file.name: sha256(file) for file in engine_files(name, path)}
    key = {"runtime": name, "precision": "fp32", "onnx_sha256": sha256(folder / f"{model}.onnx")}
    about = {"interface": contract.interface(), "tensors": runtime(name).Engine(path, "fp32").tensors()}
    write_json(record, {"files": files, "key": key, **about})
    return BuiltEngine.of_record(record)


def _type(tensor):
    return helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
