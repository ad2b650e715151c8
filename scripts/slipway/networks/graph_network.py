"""A network that is only a graph in a file, without code. Its tensors and operations are read from the graph."""

import re
from collections.abc import Sequence

import torch

from slipway.contract.contract import Tensor, Tensors

PYTORCH = "PyTorch"
# The names that config.yaml, perf_analyzer and clients take for tensors.
SERVABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def runtime_of(network: torch.nn.Module) -> str:
    """Return the name of the runtime that computes a network, for messages."""
    return network.runtime if isinstance(network, GraphNetwork) else PYTORCH


def count_of_parameters(network: torch.nn.Module) -> int:
    """Return the number of values in a network's weights."""
    own = isinstance(network, GraphNetwork)
    return network.parameter_count if own else sum(parameter.numel() for parameter in network.parameters())


class FileNetwork(torch.nn.Module):
    """A network in a file that states its inputs. An entry of their shapes is a size, or None for a dynamic axis."""

    inputs: tuple[Tensor, ...]

    def why_it_fails(self, inputs: Tensors, error: Exception) -> str:
        """Return a sentence about the network's failure on named inputs, with the remedy."""
        raise NotImplementedError


class GraphNetwork(FileNetwork):
    """The interface of a network without code. In messages, `title` names the file, and `runtime` its runtime.

    `outputs` are the file's output tensors, in the same form as `inputs`.
    """

    title: str
    runtime: str
    parameter_count: int
    outputs: tuple[Tensor, ...]

    def own_outputs(self, names: Sequence[str] | None) -> dict[str, str]:
        """Return {name of an output: its name in the file}.

        `names` are names in the file, or new names for all outputs in their order, or None for all outputs.
        """
        own = [tensor.name for tensor in self.outputs]
        taken = list(names or own)
        return dict(zip(taken, taken if set(taken) <= set(own) else own, strict=False))

    def unused_inputs(self, outputs: Sequence[str]) -> list[str]:
        """Return the names of the inputs on which none of the `outputs` depends."""
        raise NotImplementedError

    def last_operation(self, output: str) -> str:
        """Return the name of the operation that makes an output, such as "softmax"; "" if unknown."""
        raise NotImplementedError
