"""Find the inputs that do not change a network's outputs."""

import traceback

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from slipway.contract.contract import Tensors
from slipway.contract.network import ServedNetwork, tensor_of
from slipway.networks.answer_structure import tensors_in
from slipway.networks.graph_network import GraphNetwork


def unused_inputs(network: ServedNetwork, inputs: Tensors) -> list[str]:
    """Return the names of the inputs on which no output depends, found in a run on `inputs`, {input: array}.

    An input counts as used if the network's Python code reads a value of it. Returns [] if the operations of the run
    cannot be observed.
    """
    if isinstance(network.network, GraphNetwork):
        return _unused_in_graph(network, network.network)
    tensors = {name: tensor_of(inputs[name]).clone() for name in (tensor.name for tensor in network.inputs)}
    sources = _Sources(tensors)
    try:
        with torch.inference_mode(), sources:
            outputs = network.outputs(*tensors.values())
    except Exception:  # code of other libraries cannot always be observed
        traceback.print_exc()
        return []
    used = sources.read.union(*(sources.of(output) for output in outputs.values()))
    return [name for name in tensors if name not in used]


def _unused_in_graph(network: ServedNetwork, graph: GraphNetwork) -> list[str]:
    unused = graph.unused_inputs(list(graph.own_outputs(network.names).values()))
    single = len(graph.inputs) == 1
    return [tensor.name for tensor in network.inputs if tensor.name in unused or (single and unused)]


class _Sources(TorchDispatchMode):
    """Track, for each tensor, the inputs from which it was computed. Tensors that share memory share the record."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.read: set[str] = set()  # inputs of which the network's Python code read a number
        self._names: dict[int, set[str]] = {}
        self._alive: list[torch.UntypedStorage] = []  # so that no other memory gets the same identity
        for name, tensor in tensors.items():
            self._add(tensor, {name})

    def of(self, tensor: torch.Tensor) -> set[str]:
        """Return the names of the inputs from which a tensor was computed."""
        return self._names.get(tensor.untyped_storage()._cdata, set())

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        result = function(*args, **(kwargs or {}))
        tensors, results = tensors_in((args, kwargs)), tensors_in(result)
        names = set().union(*map(self.of, tensors))
        if not results:
            self.read |= names
        if function._schema.is_mutable:
            results += tensors
        for tensor in results:
            self._add(tensor, names)
        return result

    def _add(self, tensor: torch.Tensor, names: set[str]) -> None:
        storage = tensor.untyped_storage()
        if names:
            self._alive.append(storage)
            self._names[storage._cdata] = self._names.get(storage._cdata, set()) | names
