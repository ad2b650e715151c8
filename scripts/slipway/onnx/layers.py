"""Find nodes of an ONNX graph by their names, by their operators, or by the network's modules that they compute."""

import ast
import contextlib
import difflib
from collections.abc import Iterable

import onnx

from slipway.core.errors import SlipwayError, listed

# The metadata in which PyTorch's exporter writes the modules around a node, outermost first, and then the node's name.
_SCOPES = "pkg.torch.onnx.name_scopes"
# The attribute of ServedNetwork that has the user's network.
_SERVED = "network"


def module_of(node: onnx.NodeProto) -> str | None:
    """Return the innermost module of the network that a node belongs to, such as layer1.0.conv2; None if unknown."""
    entry = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "[]")
    scopes: list[str] = []
    with contextlib.suppress(ValueError, SyntaxError):
        scopes = ast.literal_eval(entry)
    names = [scope for scope in scopes[:-1] if scope]
    name = names[-1].removeprefix(_SERVED).removeprefix(".") if names else ""
    return name or None


def nodes_named(model: onnx.ModelProto, entries: Iterable[str], setting: str) -> list[str]:
    """Return the names of the nodes that `entries` select, in the graph's order.

    `entries` is the value of `setting` in config.yaml, which messages name. An entry is the name of a node, of a module
    (all its nodes), or of an operator such as Softmax. A node's name takes precedence. Raises SlipwayError, with the
    nearest names, for an entry that fits nothing.
    """
    modules = {node.name: module_of(node) or "" for node in model.graph.node}
    chosen: set[str] = set()
    for entry in entries:
        matching = {entry} & modules.keys() or {
            node.name
            for node in model.graph.node
            if entry == node.op_type or f"{modules[node.name]}.".startswith(f"{entry}.")
        }
        if not matching:
            names = sorted({*modules, *modules.values(), *(node.op_type for node in model.graph.node)} - {""})
            near = difflib.get_close_matches(entry, names, 3, 0.3) or names[:3]
            raise SlipwayError(
                f"`{setting}` names {entry}, which is neither a node of the ONNX file nor a module of the network nor "
                f"an operator; near are {listed(near, 3)}; correct it, or take it out"
            )
        chosen |= matching
    return [node.name for node in model.graph.node if node.name in chosen]
