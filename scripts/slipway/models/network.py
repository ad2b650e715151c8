"""The tensors that a network expects in a state dict, and copies of the network for trials to load weights."""

import copy
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import chain, takewhile

import torch

from slipway.models.auxiliary_heads import head_names
from slipway.models.loading import COUNTER, tied_names

# Prefixes that PyTorch's wrappers (compile, FSDP, DDP) put into the names of parameters.
_WRAPPERS = re.compile(r"(^|(?<=\.))(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|module)\.")
# DenseNet's published files have names from the time when names of modules could have dots. torchvision renames them.
_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def without_wrappers(name: str) -> str:
    """Return a tensor's name without the prefixes of PyTorch's wrappers, such as "module." of data parallelism."""
    return _WRAPPERS.sub("", name)


def as_renamed(name: str) -> str:
    """Return torchvision's present name for a tensor name of its first DenseNet files; other names unchanged."""
    return _DENSE_LAYER.sub(r"\1\2", name)


class Network:
    """A network with the names and values of the tensors in its state dict (`expected`).

    `heads` are the name prefixes of auxiliary heads, which only training uses. `tied` has a list of names for each
    tensor with several names.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.expected = dict(model.state_dict())
        self.heads = head_names(model)
        self.tied = tied_names(model)

    @cached_property
    def size(self) -> int:
        """Return the number of tensors that a checkpoint must have, without BatchNorm's counters.

        A checkpoint may lack the counters.
        """
        return sum(name.rpartition(".")[2] != COUNTER for name in self.expected)

    @cached_property
    def unsaved_buffers(self) -> dict[str, torch.Tensor]:
        """Return {name: buffer} of the buffers that the network computes itself, so that no state dict has them."""
        return {name: buffer for name, buffer in self.model.named_buffers() if name not in self.expected}

    @cached_property
    def common_prefix(self) -> str:
        """Return the prefix that all tensor names share; "" without such a prefix.

        For example, a network that wraps another network may have "model.".
        """
        components = zip(*(name.split(".")[:-1] for name in self.expected), strict=False)
        shared = takewhile(lambda names: len(set(names)) == 1, components)
        return "".join(f"{names[0]}." for names in shared)

    def spelling(self, name: str) -> str:
        """Return the network's own name for a tensor's name in a checkpoint. An unknown name is returned unchanged."""
        if name in self.expected:
            return name
        variants = (without_wrappers(name), as_renamed(name), self.common_prefix + name)
        return next((variant for variant in variants if variant in self.expected), name)

    def needs(self, name: str, tensor: torch.Tensor) -> bool:
        """Return whether the network needs a tensor of a checkpoint.

        The network needs no tensor of an auxiliary head, and no tensor that equals a buffer which the network computes.
        """
        if name.startswith(self.heads):
            return False
        own = self.unsaved_buffers.get(name)
        return own is None or own.shape != tensor.shape or not torch.equal(own, tensor.to(own.dtype))

    def versions(self) -> Iterator[dict]:
        """Yield versions of modules to try, one after the other, with a state dict that does not state its own.

        Each is {module: metadata}, such as {"layer": {"version": 2}}: first none ({}), then the present versions of the
        network's modules, then version 1 of all modules.
        """
        yield {}
        current = getattr(self.model.state_dict(), "_metadata", {})
        yield dict(current)
        yield {module: {"version": 1} for module in current}

    def skeleton(self) -> torch.nn.Module:
        """Return a copy of the network whose tensors have shapes but no values, so that trial loads need no memory."""
        empty = {}
        for tensor in chain(self.model.parameters(), self.model.buffers()):
            values = torch.empty_like(tensor, device="meta", requires_grad=False)
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            empty[id(tensor)] = torch.nn.Parameter(values, requires_grad=False) if is_parameter else values
        return copy.deepcopy(self.model, empty)
