"""Rewrite a foreign ONNX graph in the form for later steps: without functions, with valid and unique names."""

import copy
import re
from collections.abc import Iterable, Mapping

import onnx
from onnx import inliner

from slipway.core.errors import SlipwayError, listed
from slipway.networks.graph_network import SERVABLE
from slipway.networks.user_code import first_sentence
from slipway.onnx.graph_walk import graphs_in, nodes_of, refill
from slipway.onnx.onnx_files import opset_of

_OTHER = re.compile(r"[^A-Za-z0-9_.-]+")
# The end of TensorFlow's names of tensors.
_FIRST_OUTPUT = re.compile(r":0$")
# Up to this IR version, each weight of a file was an input, too.
_LAST_WITH_STORED_INPUTS = 3
# The IR version of the graphs of older and newer opsets that every runtime reads.
_IR_VERSION, _OLDER_IR_VERSION, _OLDER_OPSET = 10, 8, 17


def tidied(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Return (the model in the form that later steps need, sentences about the changes that a client sees).

    The returned copy has no functions, no inputs with a value in the file, and only tensor names that are valid in
    config.yaml and for clients. Raises SlipwayError if no input is left.
    """
    notes = []
    if model.functions:
        try:
            model = inliner.inline_local_functions(model, convert_version=True)
        except Exception as error:  # of several types
            raise SlipwayError(
                f"the functions in the ONNX file cannot be inlined ({first_sentence(error)}); export it without "
                "functions"
            ) from None
    else:
        model = copy.deepcopy(model)
    if not any(entry.domain in ("", "ai.onnx") for entry in model.opset_import):  # a tree alone, of ai.onnx.ml
        model.opset_import.append(onnx.helper.make_opsetid("", _OLDER_OPSET))
    if (stored := _drop_stored_inputs(model.graph)) and model.ir_version > _LAST_WITH_STORED_INPUTS:
        notes.append(f"the inputs {listed(stored, 5)} have values in the file, which stay: no client sends them")
    if not model.graph.input:
        raise SlipwayError("the ONNX file has no input, so its answer is always the same; export it with its inputs")
    _keep_outputs_apart(model.graph)
    _leave_sizes_open(model.graph)
    names = served_names(value.name for value in (*model.graph.input, *model.graph.output))
    if changed := {name: served for name, served in names.items() if name != served}:
        rename(model.graph, changed)
        pairs = [f"{name} is served as {served}" for name, served in changed.items()]
        notes.append(f"clients and config.yaml name tensors by letters, digits, _, . and -: {listed(pairs, 8)}")
    _name_nodes(model.graph)
    model.ir_version = ir_version_of(opset_of(model))
    return model, notes


def ir_version_of(opset: int) -> int:
    """Return the IR version to write into a graph with this opset: one that every runtime for the opset reads."""
    return _OLDER_IR_VERSION if opset <= _OLDER_OPSET else _IR_VERSION


def served_names(names: Iterable[str]) -> dict[str, str]:
    """Return {name of a tensor in the file: its name for clients}. The names for clients are unique.

    A name that clients and config.yaml accept stays as it is.
    """
    names = list(dict.fromkeys(names))
    served = {name: name for name in names if SERVABLE.fullmatch(name)}
    taken = set(served.values())
    for name in names:
        if name not in served:
            served[name] = _free(_servable(name), taken)
            taken.add(served[name])
    return {name: served[name] for name in names}


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename tensors everywhere in a graph and in the graphs inside it.

    `names` is {old name: new name}. If another tensor already has a new name, this other tensor is renamed, too.
    """
    present = {name for inner in _graphs(graph) for node in inner.node for name in (*node.input, *node.output)}
    present |= {value.name for inner in _graphs(graph) for value in (*inner.input, *inner.initializer)}
    names = dict(names)
    for name in [name for name in names.values() if name in present and name not in names]:
        names[name] = _free(f"{name}_inner", present | set(names.values()))
    for inner in _graphs(graph):
        for value in (*inner.input, *inner.output, *inner.value_info, *inner.initializer):
            value.name = names.get(value.name, value.name)
        for value in inner.sparse_initializer:
            value.values.name = names.get(value.values.name, value.values.name)
        for node in inner.node:
            for side in (node.input, node.output):
                for index, name in enumerate(side):
                    side[index] = names.get(name, name)


def _graphs(graph: onnx.GraphProto) -> Iterable[onnx.GraphProto]:
    return [graph, *(inner for node in nodes_of(graph) for inner in graphs_in(node))]


def _servable(name: str) -> str:
    """Return a valid name: each run of other characters than letters, digits, _, . and - becomes one _."""
    words = _OTHER.sub("_", _FIRST_OUTPUT.sub("", name)).strip("_")
    return words if SERVABLE.fullmatch(words) else f"tensor_{words}".rstrip("_")


def _free(name: str, taken: set[str]) -> str:
    """Return `name`, or `name` with a number appended if `taken` has this name."""
    candidates = (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _keep_outputs_apart(graph: onnx.GraphProto) -> None:
    """Rename each output that is also an input or a weight to NAME_out. An Identity node copies the values to it."""
    known = {value.name for value in (*graph.input, *graph.initializer)}
    for value in graph.output:
        if value.name in known:
            made = f"{value.name}_out"
            graph.node.append(onnx.helper.make_node("Identity", [value.name], [made]))
            value.name = made


def _leave_sizes_open(graph: onnx.GraphProto) -> None:
    """Make axes of size 0 or -1 dynamic, as some exporters write dynamic axes. Remove the shapes of inner tensors."""
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        for size in value.type.tensor_type.shape.dim:
            if size.HasField("dim_value") and size.dim_value <= 0:
                size.ClearField("dim_value")


def _drop_stored_inputs(graph: onnx.GraphProto) -> list[str]:
    """Remove the inputs whose values are in the file, and return their names."""
    stored = {tensor.name for tensor in graph.initializer}
    stored |= {tensor.values.name for tensor in graph.sparse_initializer}
    names = [value.name for value in graph.input if value.name in stored]
    refill(graph.input, [value for value in graph.input if value.name not in stored])
    return names


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give each node a unique name, for messages and conversions."""
    taken: set[str] = set()
    for node in nodes_of(graph):
        node.name = _free(node.name or node.op_type, taken)
        taken.add(node.name)
