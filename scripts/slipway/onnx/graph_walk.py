"""Walk through all nodes and tensors of an ONNX model, also those of inner graphs and functions."""

from collections.abc import Iterator

import onnx
from onnx import AttributeProto, TensorProto


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of the graphs inside them, such as the branches of an If."""
    for node in graph.node:
        yield node
        for inner in graphs_in(node):
            yield from nodes_of(inner)


def graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs inside a node, such as the branches of an If."""
    single = [entry.g for entry in node.attribute if entry.type == AttributeProto.GRAPH]
    return [*single, *(graph for entry in node.attribute for graph in entry.graphs)]


def names_of_data(model: onnx.ModelProto) -> list[str]:
    """Return the names of the files that hold a model's weights, as the model says them, without duplicates."""
    stored = (tensor for tensor in _tensors(model) if tensor.data_location == TensorProto.EXTERNAL)
    entries = (entry for tensor in stored for entry in tensor.external_data if entry.key == "location")
    return list(dict.fromkeys(entry.value for entry in entries))


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    nodes = [*nodes_of(model.graph), *(node for function in model.functions for node in function.node)]
    for node in nodes:
        for graph in graphs_in(node):
            yield from graph.initializer
        for entry in node.attribute:
            yield from ([entry.t] if entry.HasField("t") else entry.tensors)
