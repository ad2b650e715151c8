"""Build networks by name: torchvision's classifiers, and factories of the user's own package."""

import importlib
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from slipway.core.errors import SlipwayError
from slipway.core.user_modules import find_users_module, users_modules_first
from slipway.models.auxiliary_heads import drop_heads
from slipway.networks.downloads import download_timeout
from slipway.networks.factories import call_factory

if TYPE_CHECKING:
    import torch


def build(architecture: str, arguments: dict | None = None) -> "torch.nn.Module":
    """Return the architecture with its initial weights, in eval mode and without auxiliary heads.

    `architecture` is a torchvision classification model ("resnet50") or "package.module:factory", a callable that
    returns a torch.nn.Module. `arguments` are its keyword arguments. Raises SlipwayError if the factory cannot be
    imported, cannot be called with these arguments, or returns another type.
    """
    import torch

    # With gradients, networks with the older weight_norm could not be copied.
    with users_modules_first(), torch.no_grad(), download_timeout():
        model = call_factory(_factory(architecture), architecture, arguments or {})
    drop_heads(model)
    return model


def _factory(architecture: str) -> Callable[..., "torch.nn.Module"]:
    """Return the callable that makes an architecture's network from keyword arguments."""
    if ":" not in architecture:
        import torchvision

        return partial(torchvision.models.get_model, architecture, weights=None)
    module, _, factory = architecture.partition(":")
    try:
        if find_users_module(module.partition(".")[0]) is None:
            raise ModuleNotFoundError(f"No module named {module.partition('.')[0]!r}")
        target = importlib.import_module(module)
        for name in factory.split("."):
            target = getattr(target, name)
    except Exception as error:  # the user's module can raise any exception
        traceback.print_exc()
        raise SlipwayError(
            f"architecture {architecture} cannot be imported ({error}); install its package into this environment or "
            "name its folder in PYTHONPATH, or correct `architecture` in config.yaml"
        ) from None
    return target
