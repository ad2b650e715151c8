"""An ONNX file as a network: ONNX Runtime computes it on the CPU as the graph is written."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import torch

from slipway.contract.contract import Tensor, Tensors
from slipway.core.errors import explained_by
from slipway.networks.graph_network import GraphNetwork
from slipway.networks.user_code import first_sentence
from slipway.onnx.graph_walk import graphs_in, nodes_of
from slipway.onnx.onnx_structure import constants_of

# Operators that keep or average their values, so that the meaning depends on the operator before them.
_TRANSPARENT = {
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Cast", "Expand", "Dropout"),
    *("ReduceMean", "AveragePool", "GlobalAveragePool", "QuantizeLinear", "DequantizeLinear"),
}
# {operator: PyTorch's name of the operation, by which meanings are found}
_OPERATIONS = {
    **{"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid", "TopK": "topk", "Einsum": "einsum"},
    **{"Gemm": "addmm", "MatMul": "matmul", "Conv": "convolution", "Add": "add", "Relu": "relu"},
    **{"BatchNormalization": "batch_norm", "LayerNormalization": "layer_norm"},
}


class OnnxNetwork(GraphNetwork):
    """A network that answers with {output: tensor}. It takes its inputs by their names, a single one by position."""

    title = "the ONNX file"
    runtime = "ONNX Runtime"

    def __init__(self, path: str | Path) -> None:
        """Load an ONNX file. Raise SlipwayError if ONNX Runtime cannot run it."""
        super().__init__()
        self.path = Path(path)
        self.model = onnx.load(path, load_external_data=False)
        self.inputs, self.outputs = (tuple(map(_tensor, side)) for side in (self.graph.input, self.graph.output))
        self.parameter_count = parameters_of(self.model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        with explained_by(_why_not_run):
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.eval()

    @property
    def graph(self) -> onnx.GraphProto:
        """Return the graph. Weights in other files are not loaded."""
        return self.model.graph

    def forward(self, *arguments: torch.Tensor, **named: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {output: tensor}."""
        by_position = dict(zip((tensor.name for tensor in self.inputs), arguments, strict=False))
        arrays = {name: tensor.detach().numpy() for name, tensor in {**by_position, **named}.items()}
        names = [tensor.name for tensor in self.outputs]
        return dict(zip(names, map(torch.from_numpy, self._session.run(names, arrays)), strict=True))

    def unused_inputs(self, outputs: Sequence[str]) -> list[str]:
        """Return the names of the inputs that none of these outputs depends on."""
        makers = {name: node for node in self.graph.node for name in node.output}
        seen, waiting = set(), list(outputs)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += _read_by(makers[name]) if name in makers else []
        return [tensor.name for tensor in self.inputs if tensor.name not in seen]

    def last_operation(self, output: str) -> str:
        """Return the name that PyTorch has for the operation that makes an output, such as "softmax"; "" if none does.

        Views, casts and averages are skipped.
        """
        makers = {name: node for node in self.graph.node for name in node.output}
        node = makers.get(output)
        while node is not None and node.op_type in _TRANSPARENT and makers.get(node.input[0]) is not None:
            node = makers[node.input[0]]
        if node is None:
            return ""
        if node.op_type == "Log" and (before := makers.get(node.input[0])) is not None and before.op_type == "Softmax":
            return "log_softmax"
        constants = constants_of(self.graph)
        adds_number = node.op_type == "Add" and any(
            name in constants and math.prod(constants[name].dims) == 1 for name in node.input
        )
        return "add a number" if adds_number else _OPERATIONS.get(node.op_type, node.op_type.lower())

    def why_it_fails(self, inputs: Tensors, error: Exception) -> str:
        """Return a sentence about the failure on named inputs, with the remedy."""
        single = len(self.inputs) == len(inputs) == 1
        for tensor in self.inputs:
            array = next(iter(inputs.values())) if single else inputs.get(tensor.name)
            if array is None:
                continue
            given = f"the ONNX file takes {tensor.in_words()}, but {array.dtype} {array.shape} is given"
            if array.dtype != tensor.dtype:
                return f"{given}; let the samples have that dtype (.astype)"
            if tensor.fits(array.shape, {}):
                continue
            if tensor.shape[1:] and replace(tensor, shape=(None, *tensor.shape[1:])).fits(array.shape, {}):
                shape = [size or other for size, other in zip(tensor.shape, array.shape, strict=True)]
                return (
                    f"{given}: its batch is fixed, and could not be made dynamic; name `samples` of this size in "
                    f"config.yaml and state `inputs: {{{tensor.name}: {{shape: {shape}}}}}`, so that each request is "
                    "run by itself, or export it with a dynamic batch axis"
                )
            return f"{given}; correct the samples (`preprocess.crop` in config.yaml), or export it for this size"
        given = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in inputs.items())
        return (
            f"ONNX Runtime fails on {given} in the ONNX file ({first_sentence(error)}); correct the samples, "
            "export the model again for such inputs, or, if its graph takes one sample at a time, state shapes without "
            "`batch` in `inputs` of the model in config.yaml"
        )


def _why_not_run(error: Exception) -> str:
    return (
        f"ONNX Runtime {onnxruntime.__version__} cannot run the ONNX file ({first_sentence(error)}); export the model "
        "again, with operators and types that it has"
    )


def parameters_of(model: onnx.ModelProto) -> int:
    """Return the number of values that a model's floating-point weights have."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
    return sum(math.prod(tensor.dims) for tensor in constants_of(model.graph).values() if tensor.data_type in floats)


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    """Return a tensor of a file with a size or None for each axis."""
    tensor = value.type.tensor_type
    sizes = tuple(size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim)
    return Tensor(value.name, str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)), sizes)


def _read_by(node: onnx.NodeProto) -> list[str]:
    """Return the names of the tensors that a node reads, also in the graphs inside it."""
    names = [name for graph in graphs_in(node) for inner in nodes_of(graph) for name in inner.input]
    return [*node.input, *names, *(value.name for graph in graphs_in(node) for value in graph.output)]
