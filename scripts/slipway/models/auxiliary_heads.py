"""The auxiliary heads of torchvision's networks, which are used in training only."""

import sys
from operator import attrgetter

import torch

_HEADS = {
    "GoogLeNet": ("aux1", "aux2"),
    "Inception3": ("AuxLogits",),
    "segmentation.FCN": ("aux_classifier",),
    "segmentation.DeepLabV3": ("aux_classifier",),
}


def remove_heads(model: torch.nn.Module) -> None:
    """Remove the auxiliary heads from all of torchvision's networks in a model."""
    for _, network, head in _heads_of(model):
        network.aux_logits = False
        setattr(network, head, None)


def head_names(model: torch.nn.Module) -> tuple[str, ...]:
    """Return the name prefixes of the auxiliary heads of torchvision's networks in a model, such as "AuxLogits."."""
    return tuple(f"{path}.{head}.".lstrip(".") for path, _, head in _heads_of(model))


def _heads_of(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module, str]]:
    """Return (path of a network in the model, the network, name of its head) for each auxiliary head of torchvision."""
    torchvision = sys.modules.get("torchvision")
    if torchvision is None:  # not imported: the model has no network of torchvision
        return []
    kinds = [(attrgetter(kind)(torchvision.models), head) for kind, heads in _HEADS.items() for head in heads]
    return [(*named, head) for named in model.named_modules() for kind, head in kinds if isinstance(named[1], kind)]
