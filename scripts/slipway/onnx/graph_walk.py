"""Walk through all nodes and tensors of an ONNX model, including inner graphs and functions."""

from collections.abc import Iterable, Iterator
from typing import Any

import onnx
from onnx import AttributeProto, TensorProto


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield all nodes of a graph, and all nodes of inner graphs, such as the branches of an If."""
    for node in graph.node:
        yield node
        for inner in graphs_in(node):
            yield from nodes_of(inner)


def graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs inside a node, such as the branches of an If."""
    single = [entry.g for entry in node.attribute if entry.type == AttributeProto.GRAPH]
    return [*single, *(graph for entry in node.attribute for graph in entry.graphs)]


def makers_of(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Return {tensor: the node that makes it} for all tensors that are outputs of a graph's nodes."""
    return {name: node for node in graph.node for name in node.output}


def tensors_behind(graph: onnx.GraphProto, outputs: Iterable[str]) -> set[str]:
    """Return the names of all tensors that the tensors `outputs` of a graph depend on, and the names in `outputs`."""
    makers, names, waiting = makers_of(graph), set(), list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += _read_by(makers[name]) if name in makers else []
    return names


def _read_by(node: onnx.NodeProto) -> list[str]:
    """Return the names of the tensors that a node, or a graph inside it, reads."""
    inner = graphs_in(node)
    names = [name for graph in inner for inner_node in nodes_of(graph) for name in inner_node.input]
    return [*node.input, *names, *(value.name for graph in inner for value in graph.output)]


def refill(part: Any, entries: Iterable) -> None:
    """Replace all entries of `part`, a repeated protobuf field such as a graph's nodes, by `entries`."""
    entries = list(entries)
    del part[:]
    part.extend(entries)


def names_of_data(model: onnx.ModelProto) -> list[str]:
    """Return the names of a model's data files, as the model states them, without duplicates."""
    tensors = (*model.graph.initializer, *inner_tensors(model))
    stored = (tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL)
    entries = (entry for tensor in stored for entry in tensor.external_data if entry.key == "location")
    return list(dict.fromkeys(entry.value for entry in entries))


def inner_tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yield all tensors of a model except the main graph's own weights.

    These are tensors in the attributes of nodes and in the graphs inside nodes.
    """
    nodes = [*nodes_of(model.graph), *(node for function in model.functions for node in function.node)]
    for node in nodes:
        for graph in graphs_in(node):
            yield from graph.initializer
        for entry in node.attribute:
            yield from ([entry.t] if entry.HasField("t") else entry.tensors)
