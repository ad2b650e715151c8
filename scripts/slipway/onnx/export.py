"""Export a network to an ONNX file whose tensors and dynamic axes have the names in the contract.

The contract describes a model's inputs and outputs: names, dtypes, shapes and dynamic axes. It is found before the
export.
"""

import string
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import torch

from slipway.contract.batches import batch_of
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.contract.network import ServedNetwork, tensor_of
from slipway.core.errors import SlipwayError
from slipway.networks.export_failures import why_the_axis_is_fixed
from slipway.onnx import external_data
from slipway.onnx.graph_walk import refill
from slipway.onnx.size_decisions import deciding_sizes
from slipway.onnx.tidying import rename

# PyTorch's exporter writes this opset and newer ones. For older opsets, the TorchScript exporter is used.
OLDEST_DYNAMO_OPSET = 18
LARGEST_BATCH = 4096


def export(
    network: ServedNetwork, contract: Contract, samples: list[Tensors], opset: int, path: Path
) -> list[tuple[str, int]]:
    """Write the network to the ONNX file `path` with the contract's dynamic axes, and large weights to its data file.

    For an `opset` below OLDEST_DYNAMO_OPSET, and for a network with TorchScript, PyTorch's TorchScript exporter is
    used. `samples` are real inputs. Returns [(axis, size)], the sizes for which the network's code may compute
    otherwise than the file (see `deciding_sizes`); always [] with the TorchScript exporter. PyTorch may leave other
    files beside `path`.
    """
    inputs, served, passing = example_of(contract, samples), network, passing_names(contract)
    has_scripts = any(isinstance(module, torch.jit.ScriptModule) for module in network.modules())
    if has_scripts:  # only the older exporter accepts scripts, in a trace that keeps their branches and loops
        with torch.no_grad():
            served = torch.jit.trace(network, inputs, check_trace=False)
    is_new = opset >= OLDEST_DYNAMO_OPSET and not has_scripts
    if is_new:
        how = {"dynamic_shapes": (dynamic_shapes(network, contract),), "external_data": False, "verbose": False}
    else:
        how = {"dynamic_axes": {passing[name]: axes for name, axes in dynamic_axes(contract).items()}}
    names = {
        "input_names": [passing[tensor.name] for tensor in contract.inputs],
        "output_names": [passing[tensor.name] for tensor in contract.outputs],
    }
    program = torch.onnx.export(served, inputs, path, dynamo=is_new, opset_version=opset, **names, **how)
    model = external_data.read(path) if is_new else simplified(path)
    rename(model.graph, {passing[name]: name for name in passing})
    forget_sources(model)
    lower_einsum(model)
    name_axes(model, contract)
    external_data.write(model, path, path.parent)
    return deciding_sizes(program.exported_program, contract, inputs) if program else []


def passing_names(contract: Contract) -> dict[str, str]:
    """Return {tensor of the contract: its name during the export}. No operator or weight has such a name.

    The exporter names a tensor inside the graph after its operator, such as `embedding`. It gives an output the same
    name without looking, so the contract's names are given to the finished graph.
    """
    return {tensor.name: f"contract/{tensor.name}" for tensor in (*contract.inputs, *contract.outputs)}


def example_of(contract: Contract, samples: list[Tensors]) -> tuple[torch.Tensor, ...]:
    """Return the inputs that the network is exported with: real values, and two samples if there is a batch axis.

    The exporter treats a size of 1 as a constant, so each dynamic axis has a larger size.
    """
    axes = {name: axis.opt if axis.opt > 1 else axis.max for name, axis in contract.axes.items()}
    batch = batch_of(contract, samples, 2, axes)
    return tuple(tensor_of(batch[tensor.name]) for tensor in contract.inputs)


def dynamic_shapes(network: ServedNetwork, contract: Contract) -> tuple[dict[int, object], ...]:
    """Return the dynamic axes for PyTorch's newer exporter: {axis: Dim} for each input.

    A network from a file may limit the batch size, by its `largest_batch`. Otherwise LARGEST_BATCH is the limit.
    """
    largest = getattr(network.network, "largest_batch", None) or LARGEST_BATCH
    dims = {name: torch.export.Dim(name, min=axis.min, max=axis.max) for name, axis in dynamic(contract).items()}
    dims[BATCH] = torch.export.Dim(BATCH, min=1, max=largest)
    return tuple(
        {axis: dims[size] for axis, size in enumerate(tensor.shape) if size in dims} for tensor in contract.inputs
    )


def dynamic_axes(contract: Contract) -> dict[str, dict[int, str]]:
    """Return the dynamic axes for the TorchScript exporter: {tensor: {axis: name}}.

    An axis of unknown size (None) is dynamic, too, and its name is made from the tensor's name.
    """
    names = {BATCH, *dynamic(contract)}
    return {
        tensor.name: {
            axis: str(size or f"{tensor.name}_{axis}")
            for axis, size in enumerate(tensor.shape)
            if size is None or size in names
        }
        for tensor in (*contract.inputs, *contract.outputs)
    }


def dynamic(contract: Contract) -> dict:
    """Return {name: Axis} of the contract's axes, beside the batch axis, that may have several sizes.

    The exported graph fixes the sizes of all other axes.
    """
    return {name: axis for name, axis in contract.axes.items() if axis.min < axis.max}


def require_dynamic_axes(network: ServedNetwork, contract: Contract, samples: list[Tensors], path: Path) -> None:
    """Raise SlipwayError if the exported file `path` has a fixed size for an input's axis that the contract lets vary.

    The message names the line of the network's code that fixes the size. To find this line, the network is exported
    again with inputs made from `samples`.
    """
    names = {BATCH, *dynamic(contract)}
    for name, size in _sizes(contract.inputs, external_data.read(path).graph.input):
        if name in names and size.HasField("dim_value"):
            example, shapes = example_of(contract, samples), (dynamic_shapes(network, contract),)
            raise SlipwayError(why_the_axis_is_fixed(network, example, shapes, name, size.dim_value))


def name_axes(model: onnx.ModelProto, contract: Contract) -> None:
    """Give the dynamic axes of a graph the contract's names, in inputs, outputs and everywhere else in the graph.

    If the size of an output's axis is unknown in the graph and fixed in the contract, the graph gets the contract's
    size.
    """
    inputs = _sizes(contract.inputs, model.graph.input)
    renamed = {size.dim_param: name for name, size in inputs if isinstance(name, str) and size.dim_param}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param in renamed:
                size.dim_param = renamed[size.dim_param]
    for name, size in _sizes(contract.outputs, model.graph.output):
        if isinstance(name, str) and not size.HasField("dim_value"):
            size.dim_param = name
        elif isinstance(name, int) and not size.HasField("dim_value"):  # behind branches, which hide sizes
            size.dim_value = name


def _sizes(tensors: Iterable[Tensor], values: Iterable[onnx.ValueInfoProto]) -> Iterator[tuple]:
    """Yield (the contract's size, the graph's size) for each axis of each tensor."""
    for tensor, value in zip(tensors, values, strict=False):
        yield from zip(tensor.shape, value.type.tensor_type.shape.dim, strict=False)


def forget_sources(model: onnx.ModelProto) -> None:
    """Remove the source lines from each node: their absolute paths would make the file different in every clone."""
    for node in model.graph.node:
        refill(node.metadata_props, [entry for entry in node.metadata_props if not entry.key.endswith(".stack_trace")])


def lower_einsum(model: onnx.ModelProto) -> None:
    """Change the letters in the equations of all Einsum nodes to lower case, since TensorRT reads only lower case."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Einsum" and attribute.name == "equation":
                attribute.s = lowered(attribute.s.decode()).encode()


def lowered(equation: str) -> str:
    """Return an Einsum's equation with lower-case letters. If all 26 are used, further letters stay upper case."""
    taken = set(filter(str.islower, equation))
    replaced = {}
    for letter in dict.fromkeys(filter(str.isupper, equation)):
        # Prefer the same letter in lower case, if it is free.
        candidates = (letter.lower(), *string.ascii_lowercase)
        replaced[letter] = next((lower for lower in candidates if lower not in taken), letter)
        taken.add(replaced[letter])
    return equation.translate(str.maketrans(replaced))


def simplified(path: Path) -> onnx.ModelProto:
    """Return the model of a file with its constants folded, as PyTorch's newer exporter folds them.

    The older exporter leaves paddings computed at run time and biases behind Identity nodes. Such nodes would keep
    builders from fusing convolutions, and ModelOpt from quantising the convolutions.
    """
    import onnxslim

    return onnxslim.slim(onnx.load(path), skip_fusion_patterns=["FusionGemm"])
