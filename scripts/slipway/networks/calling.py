"""Call a network with named inputs, by the names of its forward's parameters or by position."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError, listed
from slipway.networks.graph_network import SERVABLE, GraphNetwork

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Call:
    """How to call a network: the names of the inputs that it takes by position, in their order, and by keyword."""

    positional: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all inputs in the order of the network's parameters."""
        return self.positional + self.keyword

    def __call__(self, network: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> object:
        """Return the network's answer to {input: tensor}."""
        by_name = {name: inputs[name] for name in self.keyword}
        return network(*(inputs[name] for name in self.positional), **by_name)

    def on_arrays(self, network: torch.nn.Module, inputs: Tensors) -> object:
        """Return the network's answer to {input: array}, computed without gradients."""
        with torch.no_grad():
            return self(network, {name: torch.from_numpy(array) for name, array in inputs.items()})


class NotTaken(SlipwayError):
    """The error for a network whose `forward` does not take the names or the number of the samples' arrays."""


@contextmanager
def naming(source: str | None) -> Iterator[None]:
    """Context manager: say in the message of a NotTaken error in the block where the samples came from.

    `source` is the function or setting in words; the error then becomes a SlipwayError that begins with it. If `source`
    is None or "", the error stays as it is.
    """
    try:
        yield
    except NotTaken as error:
        if not source:
            raise
        raise SlipwayError(f"`samples` in config.yaml, {source}: {error}") from None


def call_of(network: torch.nn.Module, names: Sequence[str]) -> Call:
    """Find out how a network takes inputs with these names: by position or by keyword. Return this as a Call.

    The names are those of the parameters of its `forward`. Optional parameters may have no input. A single input may
    have any name if the network has one required parameter. Raises NotTaken if the network does not take an input, or
    needs further inputs.
    """
    if isinstance(network, GraphNetwork):
        return _call_of_graph(network, names)
    parameters = _parameters(network)
    kinds = [parameter.kind for parameter in parameters.values()]
    named = {name: one for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
    required = [name for name, parameter in named.items() if parameter.default is parameter.empty]
    takes_any_name = inspect.Parameter.VAR_KEYWORD in kinds
    takes_any_number = inspect.Parameter.VAR_POSITIONAL in kinds
    unknown = [name for name in names if name not in named]
    first = next(iter(named.values()), None)
    takes_one = first is not None and first.kind in _BY_POSITION and required in ([], [first.name])
    takes_it = len(names) == 1 and len(required) <= 1 and (takes_any_number or takes_one)
    takes_all = unknown == list(names) and takes_any_number and not required
    if (unknown and takes_it) or takes_all:
        return Call(positional=tuple(names))
    if unknown and not takes_any_name:
        raise NotTaken(_why_unknown(unknown, names, list(named), required))
    if missing := [name for name in required if name not in names]:
        raise NotTaken(
            f"the network needs {listed(missing, 5)}, which the samples do not have (they have {', '.join(names)}); "
            "add it to the samples, take it out of `metric.targets` if it is there, or let `architecture` name a "
            "factory whose network has a default for it"
        )
    positional = [name for name, one in named.items() if one.kind == one.POSITIONAL_ONLY and name in names]
    rest = [name for name in (*named, *names) if name in names and name not in positional]
    return Call(tuple(positional), tuple(dict.fromkeys(rest)))


def _call_of_graph(network: GraphNetwork, names: Sequence[str]) -> Call:
    """Return how a graph takes inputs with these names: by its own names, or by position if there is only one input.

    A single input may have any name that clients and config.yaml accept. Raises NotTaken if the names differ otherwise.
    """
    own = [tensor.name for tensor in network.inputs]
    if len(own) == len(names) == 1 and SERVABLE.fullmatch(names[0]):
        return Call(positional=tuple(names))
    if set(own) != set(names):
        raise NotTaken(
            f"the samples have {', '.join(names)}, but {network.title} takes {', '.join(own)}; name the arrays of the "
            "samples so, leave others out, or let only the metric read them (`metric.targets`)"
        )
    return Call(keyword=tuple(own))


def _parameters(network: torch.nn.Module) -> Mapping[str, inspect.Parameter]:
    if hasattr(network, "forward_parameters"):
        return network.forward_parameters
    if isinstance(network, torch.jit.ScriptModule):
        return _parameters_of_schema(network.forward.schema)
    try:
        return inspect.signature(network.forward).parameters
    except (TypeError, ValueError):  # code without a signature, such as a module of another library
        return {"inputs": inspect.Parameter("inputs", inspect.Parameter.VAR_POSITIONAL)}


def _parameters_of_schema(schema: torch.FunctionSchema) -> dict[str, inspect.Parameter]:
    kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
    return {
        argument.name: inspect.Parameter(
            argument.name, kind, default=argument.default_value if argument.has_default_value() else empty
        )
        for argument in schema.arguments[1:]  # the first one is the module itself
    }


def _why_unknown(unknown: list[str], names: Sequence[str], parameters: list[str], required: list[str]) -> str:
    takes = f"its forward takes {', '.join(parameters) or 'no inputs'}"
    if len(names) > 1 and unknown == list(names) and len(required) == 1:
        return (
            f"the samples have {', '.join(names)}, but the network takes a single input, {required[0]}; if that is a "
            "dictionary or a tuple, let `architecture` name a factory that wraps the network in a module which takes "
            f"each tensor by itself: forward(self, {', '.join(names)}); an array that only the metric reads belongs "
            "into `targets` of `metric`"
        )
    return (
        f"the samples have {listed(unknown, 5)}, which the network does not take: {takes}; name the arrays of the "
        "samples after these parameters, leave them out, or let only the metric read them: "
        f"`metric: {{targets: [{', '.join(unknown)}]}}`"
    )
