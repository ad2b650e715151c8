"""Find the first module in which two runs of a network differ for the same sample."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch

from slipway.contract.contract import Tensors
from slipway.contract.network import ServedNetwork
from slipway.networks.answer_structure import tensors_in


@dataclass(frozen=True)
class Difference:
    """The module whose own code causes the difference, with its name ("" for the network).

    `before`: the child called next. It is None if the difference shows in the module's own output.
    """

    name: str
    module: torch.nn.Module
    before: str | None


@dataclass(frozen=True)
class _Step:
    """The input or the output of one call of a module. `caller`: the module whose forward called it."""

    name: str
    caller: str
    is_output: bool
    tensors: list[torch.Tensor]


def first_difference(network: ServedNetwork, alone: Tensors, together: Tensors, allowed: float) -> Difference | None:
    """Return the first difference in the user's network between a sample run alone and as the last of a batch.

    Two tensors differ if their distance is more than `allowed` of the norm. Returns None if no difference is found, for
    example in a network that calls other modules for another batch.
    """
    runs = [_steps(network, inputs) for inputs in (alone, together)]
    modules = dict(network.network.named_modules())
    count = max(len(array) for array in together.values()) // max(len(array) for array in alone.values())
    for one, other in zip(*runs, strict=False):
        if (one.name, one.is_output) != (other.name, other.is_output):
            return None
        if _differ(one.tensors, other.tensors, count, allowed):
            name = one.name if one.is_output else one.caller
            return Difference(name, modules[name], None if one.is_output else one.name)
    return None


def _steps(network: ServedNetwork, inputs: Tensors) -> list[_Step]:
    """Run inputs and return the inputs and outputs of each module, in the order of execution."""
    steps: list[_Step] = []
    running: list[str] = []

    def enter(name: str, _: torch.nn.Module, inputs: tuple, named: dict) -> None:
        if running:  # the inputs of the network itself are the same
            steps.append(_Step(name, running[-1], False, _copied([inputs, named])))
        running.append(name)

    def leave(name: str, _: torch.nn.Module, __: tuple, outputs: object) -> None:
        running.pop()
        steps.append(_Step(name, running[-1] if running else "", True, _copied(outputs)))

    with ExitStack() as hooks:
        for name, module in network.network.named_modules():
            hooks.enter_context(module.register_forward_pre_hook(partial(enter, name), with_kwargs=True))
            hooks.enter_context(module.register_forward_hook(partial(leave, name)))
        network.run(inputs)
    return steps


def _copied(value: object) -> list[torch.Tensor]:
    """Return copies of the floating-point tensors in a value. The network may change the originals in place."""
    return [tensor.clone() for tensor in tensors_in(value) if tensor.is_floating_point()]


def _differ(alone: list[torch.Tensor], together: list[torch.Tensor], count: int, allowed: float) -> bool:
    for one, other in zip(alone, together, strict=False):
        size, distance = one.double().norm(), (one.double() - _part(one, other, count).double()).norm()
        if distance.isnan() != size.isnan() or distance > allowed * size:
            return True
    return False


def _part(one: torch.Tensor, other: torch.Tensor, count: int) -> torch.Tensor:
    """Return the last sample's part of a tensor, along the axis that grew with the batch.

    If no axis grew, as in a mean over the batch, the two count as equal: a later tensor shows the difference.
    """
    if one.shape == other.shape:
        return other if count == 1 else one
    for axis in range(one.ndim):
        if other.ndim == one.ndim and other.shape[axis] == count * one.shape[axis]:
            part = other.narrow(axis, other.shape[axis] - one.shape[axis], one.shape[axis])
            if part.shape == one.shape:
                return part
    return one
