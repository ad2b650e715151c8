"""The auxiliary heads of GoogLeNet and Inception v3: they only help to train, and have no output in eval mode."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_HEADS = {"GoogLeNet": ("aux1", "aux2"), "Inception3": ("AuxLogits",)}


def drop_heads(model: "torch.nn.Module") -> None:
    """Remove the auxiliary heads from torchvision's networks, anywhere in a model."""
    for module, heads in _networks(model).values():
        module.aux_logits = False
        for head in heads:
            setattr(module, head, None)


def head_names(model: "torch.nn.Module") -> tuple[str, ...]:
    """Return the prefixes of the names of the auxiliary heads' tensors, such as "AuxLogits."."""
    return tuple(
        f"{path}.{head}." if path else f"{head}." for path, (_, heads) in _networks(model).items() for head in heads
    )


def _networks(model: "torch.nn.Module") -> dict[str, tuple["torch.nn.Module", tuple[str, ...]]]:
    return {path: (module, _HEADS[kind]) for path, module in model.named_modules() for kind in _kinds(module)}


def _kinds(module: "torch.nn.Module") -> Iterator[str]:
    if torchvision := sys.modules.get("torchvision"):  # not imported: the model has no network of torchvision
        yield from (kind for kind in _HEADS if isinstance(module, getattr(torchvision.models, kind)))
