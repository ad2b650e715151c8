"""Networks that are only a graph in a file, such as an ONNX file, without code.

Their tensors and operations are read from the graph. Code elsewhere uses this interface for all formats of files.
"""

import re
from collections.abc import Sequence

import torch

from slipway.contract.contract import Tensor, Tensors

PYTORCH = "PyTorch"
# The names that config.yaml, perf_analyzer and clients take for tensors.
SERVABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def runtime_of(network: torch.nn.Module) -> str:
    """Return the name of the runtime that computes a network, for messages: that of a graph network, else "PyTorch"."""
    return network.runtime if isinstance(network, GraphNetwork) else PYTORCH


def count_of_parameters(network: torch.nn.Module) -> int:
    """Return the number of values in a network's weights."""
    own = isinstance(network, GraphNetwork)
    return network.parameter_count if own else sum(parameter.numel() for parameter in network.parameters())


class FileNetwork(torch.nn.Module):
    """A network in a file that states its inputs. In their shapes, a dynamic axis is None."""

    inputs: tuple[Tensor, ...]

    def why_it_fails(self, inputs: Tensors, error: Exception) -> str:
        """Return a sentence about the network's failure on named inputs, with the remedy."""
        raise NotImplementedError


class GraphNetwork(FileNetwork):
    """A network that is only a graph in a file. Each format of files has its own subclass.

    `inputs` and `outputs` are the tensors that the file states; in their shapes, a dynamic axis is None. Messages name
    the file as `title`, and the runtime that computes it as `runtime`. `parameter_count` is the number of values in the
    weights.
    """

    title: str
    runtime: str
    parameter_count: int
    outputs: tuple[Tensor, ...]

    def own_outputs(self, names: Sequence[str] | None) -> dict[str, str]:
        """Return {served name of an output: its name in the file} for the outputs to serve.

        `names` are names in the file, of some outputs. If one of them is not in the file, they are new names for the
        outputs, in the file's order. None serves all outputs with their names in the file.
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
