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
    """The place where two runs begin to differ: the module whose own code is the cause, and its name.

    The name of the whole network is "". `before` is the child module whose input differs already; None if the module's
    own output is the first that differs.
    """

    name: str
    module: torch.nn.Module
    before: str | None


def first_difference(network: ServedNetwork, alone: Tensors, together: Tensors, allowed: float) -> Difference | None:
    """Find the module in the user's network where the runs `alone` and `together` begin to differ.

    `alone` is a sample, and `together` a batch with this sample at the end. Two tensors differ if the norm of their
    distance is more than `allowed` times the norm of the tensor alone. Returns None if no difference is found, for
    example in a network that calls other modules for another batch size.
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
    """Run the network on inputs. Return [(difference, tensors)] in the order of execution.

    `tensors` are the inputs or the outputs of a module. `difference` names the module whose own code made these
    tensors: the calling module for inputs, the module itself for outputs.
    """
    steps: list[tuple[Difference, list[torch.Tensor]]] = []
    running: list[tuple[str, torch.nn.Module]] = []

    def enter(name: str, module: torch.nn.Module, inputs: tuple, named: dict) -> None:
        if running:  # not for the network's own inputs, which are the same in both runs
            steps.append((Difference(*running[-1], before=name), _copied([inputs, named])))
        running.append((name, module))

    def leave(name: str, module: torch.nn.Module, _: tuple, outputs: object) -> None:
        running.pop()
        steps.append((Difference(name, module, before=None), _copied(outputs)))

    with ExitStack() as hooks:
        for name, module in network.network.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # PyTorch has no hooks for a ScriptModule
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
    """Return the last sample's part of `other`, a tensor of a batch of `count` samples.

    `one` is the same tensor of the sample alone. The parts lie along the axis in which `other` is `count` times longer.
    Without such an axis, as in a mean over the batch, return `one`, so that no difference is found here.
    """
    if one.shape == other.shape:
        return other if count == 1 else one
    for axis in range(one.ndim):
        if other.ndim == one.ndim and other.shape[axis] == count * one.shape[axis]:
            part = other.narrow(axis, other.shape[axis] - one.shape[axis], one.shape[axis])
            if part.shape == one.shape:
                return part
    return one
