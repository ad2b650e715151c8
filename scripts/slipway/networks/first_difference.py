"""Find the first module whose values differ between two runs of a network on the same sample."""

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

    `before`: the child module whose input differs. `before` is None if the difference shows in the module's own output.
    """

    name: str
    module: torch.nn.Module
    before: str | None


def first_difference(network: ServedNetwork, alone: Tensors, together: Tensors, allowed: float) -> Difference | None:
    """Return the first difference in the user's network between a sample run alone and as the last of a batch.

    Two tensors differ if the norm of their distance is more than `allowed` times the norm of the tensor alone. Returns
    None if no difference is found, for example in a network that calls other modules for another batch.
    """
    runs = [_steps(network, inputs) for inputs in (alone, together)]
    count = max(len(array) for array in together.values()) // max(len(array) for array in alone.values())
    for (place, one), (other_place, other) in zip(*runs, strict=False):
        if place != other_place:
            return None
        if _differ(one, other, count, allowed):
            return place
    return None


def _steps(network: ServedNetwork, inputs: Tensors) -> list[tuple[Difference, list[torch.Tensor]]]:
    """Run inputs. Return [(difference, tensors)] in the order of execution.

    `tensors` are the inputs or the outputs of a module. `difference` has the module whose own code made them: the
    calling module made the inputs, the module itself the outputs.
    """
    steps: list[tuple[Difference, list[torch.Tensor]]] = []
    running: list[tuple[str, torch.nn.Module]] = []

    def enter(name: str, module: torch.nn.Module, inputs: tuple, named: dict) -> None:
        if running:  # the inputs of the network itself are the same
            steps.append((Difference(*running[-1], before=name), _copied([inputs, named])))
        running.append((name, module))

    def leave(name: str, module: torch.nn.Module, _: tuple, outputs: object) -> None:
        running.pop()
        steps.append((Difference(name, module, before=None), _copied(outputs)))

    with ExitStack() as hooks:
        for name, module in network.network.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # PyTorch has no hooks for it
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
    """Return the part of the batch's tensor `other` that belongs to the last sample, along the axis that grew.

    If no axis grew, as in a mean over the batch, return `one`, so that the two count as equal. A later tensor shows the
    difference.
    """
    if one.shape == other.shape:
        return other if count == 1 else one
    for axis in range(one.ndim):
        if other.ndim == one.ndim and other.shape[axis] == count * one.shape[axis]:
            part = other.narrow(axis, other.shape[axis] - one.shape[axis], one.shape[axis])
            if part.shape == one.shape:
                return part
    return one
