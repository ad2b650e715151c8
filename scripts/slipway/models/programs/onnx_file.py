"""An ONNX file as a network, from the exporter of any framework. ONNX Runtime computes the network, not PyTorch."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper

from slipway.contract.contract import Tensor, Tensors
from slipway.core.errors import explained_by
from slipway.networks.calling import call_of
from slipway.networks.graph_network import GraphNetwork
from slipway.networks.user_code import first_sentence
from slipway.onnx import external_data
from slipway.onnx.batch_axis import fixed_batch, with_batch_axis
from slipway.onnx.foreign_file import operators_of, read_onnx
from slipway.onnx.graph_walk import makers_of, tensors_behind
from slipway.onnx.onnx_files import session_of, tensor_of
from slipway.onnx.onnx_structure import QUANTIZING, constants_of
from slipway.onnx.tidying import tidied

# Operators that move or average values, so that the meaning of the output depends on the operator before them.
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
_HALF = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


class OnnxNetwork(GraphNetwork):
    """A network that returns {output: tensor}. Inputs are given by name, or a single input by position."""

    title = "the ONNX file"
    runtime = "ONNX Runtime"

    def __init__(self, path: str | Path) -> None:
        """Load an ONNX file. Raise SlipwayError if ONNX Runtime cannot run the file."""
        super().__init__()
        self.path = Path(path)
        self.model = external_data.read(self.path)
        self.inputs, self.outputs = (tuple(map(_tensor, side)) for side in (self.graph.input, self.graph.output))
        self.parameter_count = parameters_of(self.model)
        with explained_by(_why_not_run):
            self._session = session_of(self.model, self.path.parent)
        self.eval()

    @property
    def graph(self) -> onnx.GraphProto:
        """Return the graph of the file, without weights that are in other files."""
        return self.model.graph

    def forward(self, *arguments: torch.Tensor, **named: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {output: tensor}, computed by ONNX Runtime."""
        by_position = dict(zip((tensor.name for tensor in self.inputs), arguments, strict=False))
        arrays = {name: tensor.detach().numpy() for name, tensor in {**by_position, **named}.items()}
        names = [tensor.name for tensor in self.outputs]
        return dict(zip(names, map(torch.from_numpy, self._session.run(names, arrays)), strict=True))

    def unused_inputs(self, outputs: Sequence[str]) -> list[str]:
        """Return the names of the inputs on which none of the `outputs` depends."""
        used = tensors_behind(self.graph, outputs)
        return [tensor.name for tensor in self.inputs if tensor.name not in used]

    def last_operation(self, output: str) -> str:
        """Return PyTorch's name for the operation that makes an output, such as "softmax"; "" without such a name.

        Views, casts and averages are skipped.
        """
        makers = makers_of(self.graph)
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
        """Return a sentence that explains why ONNX Runtime failed on these inputs, with the remedy.

        `inputs` is {input: array}, and `error` the exception of the run.
        """
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


def load(path: Path) -> OnnxNetwork:
    """Return the ONNX file as a network. Raise SlipwayError if ONNX Runtime cannot run the file."""
    return OnnxNetwork(path)


def take(path: Path, output: Path, samples: Sequence[Tensors]) -> list[str]:
    """Write the model of a user's ONNX file to `output` for the later steps. Return sentences about the changes.

    The data file beside `output` has the weights of a model over 2 GB. The data file of a smaller model is empty.
    `samples` are real inputs of the network, {input: array} each. A batch axis of the fixed size 1 becomes dynamic if
    each sample's answer stays the same in batches. Raises SlipwayError if the file is damaged, or cannot be served.
    """
    model, notes = tidied(read_onnx(path))
    notes += _facts(model)
    _give_ranks(model, samples[0])
    external_data.write(model, output, path.parent)
    network = load(output)
    samples = [_in_dtypes_of(network, sample) for sample in samples]
    _try(network, samples)
    if batch := fixed_batch(model):
        model, words = _with_any_batch(model, batch, _named(model, samples), output.parent)
        notes.append(words)
        external_data.write(model, output, output.parent)
    elif any(tensor.shape and tensor.shape[0] is not None for tensor in load(output).inputs):
        notes.append("the first axes of its inputs are not all dynamic, so it is served without a batch axis")
    return notes


def _with_any_batch(
    model: onnx.ModelProto, batch: int, samples: list[Tensors], folder: Path
) -> tuple[onnx.ModelProto, str]:
    """Return (model, sentence for the user about its batch axis). The batch axis becomes dynamic if this is safe.

    `batch` is the fixed size of the axis. `folder` has the model's data file, the weights of a model over 2 GB.
    """
    if batch > 1:
        return model, f"the first axis of its inputs has the fixed size {batch}, with which it is served"
    dynamic, why_not = with_batch_axis(model, samples, folder)
    if dynamic is None:
        return model, f"the graph has a fixed batch of 1, with which it is served: with a dynamic one, {why_not}"
    return dynamic, "the fixed batch of 1 was made dynamic: samples in batches have the answers of the file"


def _give_ranks(model: onnx.ModelProto, sample: Tensors) -> None:
    """Give each input without a declared shape as many dynamic axes as the sample's array has."""
    single = next(iter(sample.values())) if len(model.graph.input) == len(sample) == 1 else None
    for value in model.graph.input:
        array = sample.get(value.name, single)
        if not value.type.tensor_type.HasField("shape") and array is not None:
            value.CopyFrom(
                helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, [None] * array.ndim)
            )


def _in_dtypes_of(network: OnnxNetwork, sample: Tensors) -> Tensors:
    """Return a sample {input: array} with float32 in place of uint8, unless the file itself takes uint8 there."""
    dtypes = {tensor.name: tensor.dtype for tensor in network.inputs}
    single = next(iter(dtypes.values())) if len(dtypes) == len(sample) == 1 else None
    return {
        name: array.astype(np.float32) if str(array.dtype) == "uint8" != dtypes.get(name, single) else array
        for name, array in sample.items()
    }


def _try(network: OnnxNetwork, samples: Sequence[Tensors]) -> None:
    """Run the network on samples. Raise SlipwayError if their names, dtypes or shapes do not fit the network."""
    call = call_of(network, list(samples[0]))
    for sample in samples:
        with explained_by(partial(network.why_it_fails, sample)):
            call.on_arrays(network, sample)


def _named(model: onnx.ModelProto, samples: Sequence[Tensors]) -> list[Tensors]:
    """Return samples {input: array} with the names of the model's inputs. A single input accepts any name."""
    names = [value.name for value in model.graph.input]
    if len(names) == len(samples[0]) == 1:
        return [dict(zip(names, sample.values(), strict=True)) for sample in samples]
    return [{name: sample[name] for name in names} for sample in samples]


def _facts(model: onnx.ModelProto) -> list[str]:
    """Return sentences for the user about numbers and operators in a graph that restrict its engines."""
    facts = []
    kinds = {node.op_type for node in model.graph.node}
    if kinds.intersection(QUANTIZING):
        facts.append("the file is quantised already: its fp32 variant is the file as it is, with integers inside")
    if any(tensor.data_type in _HALF for tensor in model.graph.initializer):
        facts.append("the file has weights in 16 bits: its fp32 variant computes with them as the file says")
    for domain, names in operators_of(model).items():
        facts.append(f"it has operators of {domain} ({', '.join(names[:3])}), which only ONNX Runtime has")
    return facts


def _why_not_run(error: Exception) -> str:
    return (
        f"ONNX Runtime {onnxruntime.__version__} cannot run the ONNX file ({first_sentence(error)}); export the model "
        "again, with operators and types that it has"
    )


def parameters_of(model: onnx.ModelProto) -> int:
    """Return the number of values in the floating-point weights of a model."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
    return sum(math.prod(tensor.dims) for tensor in constants_of(model.graph).values() if tensor.data_type in floats)


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    """Return a declared input or output of a file. An entry of its shape is a size, or None for a dynamic axis."""
    tensor = tensor_of(value)
    return replace(tensor, shape=tuple(size if isinstance(size, int) else None for size in tensor.shape))
