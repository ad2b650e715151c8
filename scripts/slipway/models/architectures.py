"""Build networks by name: torchvision's classifiers, and factories of the user's own package."""

import sys
from collections.abc import Callable
from functools import partial
from operator import attrgetter

import torch

from slipway.contract.contract import Tensors
from slipway.core.errors import explained_by
from slipway.core.user_modules import import_users, users_modules_first
from slipway.networks.calling import call_of
from slipway.networks.downloads import download_timeout
from slipway.networks.factories import call_factory
from slipway.networks.user_code import first_sentence

# The auxiliary heads of torchvision's networks, which are used in training only.
_HEADS = {
    "GoogLeNet": ("aux1", "aux2"),
    "Inception3": ("AuxLogits",),
    "segmentation.FCN": ("aux_classifier",),
    "segmentation.DeepLabV3": ("aux_classifier",),
}


def build(architecture: str, arguments: dict | None = None, sample: Tensors | None = None) -> torch.nn.Module:
    """Return the architecture with its initial weights, in eval mode and without auxiliary heads.

    `architecture` is a torchvision model ("resnet50") or "package.module:factory", a callable that returns a
    torch.nn.Module. `arguments` are its keyword arguments. Lazy modules such as LazyLinear get their shapes from
    `sample`, {input: array}. Raises SlipwayError if the factory cannot be imported, cannot be called with these
    arguments, or returns another type, and if a network with lazy modules does not accept the sample.
    """
    # With gradients, networks with the older weight_norm could not be copied.
    with users_modules_first(), torch.no_grad(), download_timeout():
        model = call_factory(_factory(architecture), architecture, arguments or {})
    for _, module, head in _heads_of(model):
        module.aux_logits = False
        setattr(module, head, None)
    return model if sample is None else _settled(model, sample)


def head_names(model: torch.nn.Module) -> tuple[str, ...]:
    """Return the prefixes of the tensors of torchvision's auxiliary heads in a model, such as "AuxLogits."."""
    return tuple(f"{path}.{head}.".lstrip(".") for path, _, head in _heads_of(model))


def _heads_of(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module, str]]:
    """Return (path, network, name of the head) of each auxiliary head that torchvision's networks in a model have."""
    torchvision = sys.modules.get("torchvision")
    if torchvision is None:  # not imported: the model has no network of torchvision
        return []
    kinds = [(attrgetter(kind)(torchvision.models), head) for kind, heads in _HEADS.items() for head in heads]
    return [(*named, head) for named in model.named_modules() for kind, head in kinds if isinstance(named[1], kind)]


def _settled(model: torch.nn.Module, sample: Tensors) -> torch.nn.Module:
    """Return the model with its lazy parameters, if any, initialised by a forward pass."""
    from torch.nn.modules.lazy import LazyModuleMixin

    if not any(isinstance(module, LazyModuleMixin) for module in model.modules()):
        return model
    shapes = ", ".join(f"{name} {array.shape}" for name, array in sample.items())
    with explained_by(
        lambda error: (
            f"the network has lazy modules, whose shapes come from its first input, but does not take {shapes} "
            f"({first_sentence(error)}); correct the samples (`preprocess.crop` in config.yaml), or give the modules "
            "sizes"
        )
    ):
        call_of(model, list(sample)).on_arrays(model, sample)
    return model.eval()


def _factory(architecture: str) -> Callable[..., torch.nn.Module]:
    if ":" not in architecture:
        import torchvision

        # By default, a segmentation network would download weights of its backbone, which are then replaced.
        is_segmentation = architecture in torchvision.models.list_models(module=torchvision.models.segmentation)
        no_weights = {"weights": None, **({"weights_backbone": None} if is_segmentation else {})}
        return partial(torchvision.models.get_model, architecture, **no_weights)
    with explained_by(
        lambda error: (
            f"architecture {architecture} cannot be imported ({error}); install its package into this environment or "
            "name its folder in PYTHONPATH, or correct `architecture` in config.yaml"
        )
    ):
        return import_users(architecture)
