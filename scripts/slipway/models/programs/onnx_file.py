"""An ONNX file alone as a network, from any framework's exporter. ONNX Runtime computes it; PyTorch has no part."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import onnx
from onnx import helper

from slipway.contract.contract import Tensors
from slipway.core.errors import explained_by
from slipway.networks.calling import call_of
from slipway.onnx import external_data
from slipway.onnx.batch_axis import fixed_batch, with_batch_axis
from slipway.onnx.foreign_file import operators_of, read_onnx
from slipway.onnx.onnx_network import OnnxNetwork
from slipway.onnx.onnx_structure import QUANTIZING
from slipway.onnx.tidying import tidied

_HALF = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


def load(path: Path) -> OnnxNetwork:
    """Return the ONNX file as a network."""
    return OnnxNetwork(path)


def take(path: Path, output: Path, samples: Sequence[Tensors]) -> list[str]:
    """Write the model of any ONNX file in the form that later steps take, and return sentences about the changes.

    The data file beside `output` has the weights of a model over 2 GB. It is empty for other models.
    `samples` are real inputs, as the network takes them. A batch axis of a fixed size is made dynamic if that is
    proven on them. Raises SlipwayError if the file is damaged, or cannot be served.
    """
    model, notes = tidied(read_onnx(path))
    notes += _facts(model)
    _give_ranks(model, samples[0])
    external_data.write(model, output, path.parent)
    _try(load(output), samples)
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
    """Return (model, sentence about its batch). The batch axis becomes dynamic if that is safe.

    `folder` has the model's data file.
    """
    if batch > 1:
        return model, f"the first axis of its inputs has the fixed size {batch}, with which it is served"
    dynamic, why_not = with_batch_axis(model, samples, folder)
    if dynamic is None:
        return model, f"the graph has a fixed batch of 1, with which it is served: with a dynamic one, {why_not}"
    return dynamic, "the fixed batch of 1 was made dynamic: samples in batches have the answers of the file"


def _give_ranks(model: onnx.ModelProto, sample: Tensors) -> None:
    """Give inputs without a declared shape the number of axes of a sample's array. All these axes are dynamic."""
    single = next(iter(sample.values())) if len(model.graph.input) == len(sample) == 1 else None
    for value in model.graph.input:
        array = sample.get(value.name, single)
        if not value.type.tensor_type.HasField("shape") and array is not None:
            value.CopyFrom(
                helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, [None] * array.ndim)
            )


def _try(network: OnnxNetwork, samples: Sequence[Tensors]) -> None:
    """Run samples. Raise SlipwayError if the file does not take their names, dtypes or shapes."""
    call = call_of(network, list(samples[0]))
    for sample in samples:
        with explained_by(partial(network.why_it_fails, sample)):
            call.on_arrays(network, sample)


def _named(model: onnx.ModelProto, samples: Sequence[Tensors]) -> list[Tensors]:
    """Return samples with the names of the model's inputs. A single input takes an array of any name."""
    names = [value.name for value in model.graph.input]
    if len(names) == len(samples[0]) == 1:
        return [dict(zip(names, sample.values(), strict=True)) for sample in samples]
    return [{name: sample[name] for name in names} for sample in samples]


def _facts(model: onnx.ModelProto) -> list[str]:
    """Return sentences about the numbers and operators in a graph that limit the engines to make of it."""
    facts = []
    kinds = {node.op_type for node in model.graph.node}
    if kinds.intersection(QUANTIZING):
        facts.append("the file is quantised already: its fp32 variant is the file as it is, with integers inside")
    if any(tensor.data_type in _HALF for tensor in model.graph.initializer):
        facts.append("the file has weights in 16 bits: its fp32 variant computes with them as the file says")
    for domain, names in operators_of(model).items():
        facts.append(f"it has operators of {domain} ({', '.join(names[:3])}), which only ONNX Runtime has")
    return facts
