"""Build a network of any source by the name of its architecture."""

from slipway.contract.contract import Tensors
from slipway.core.errors import explained_by
from slipway.core.pytorch import torch
from slipway.core.user_modules import users_modules_first
from slipway.models.auxiliary_heads import remove_heads
from slipway.models.sources import source_of
from slipway.networks.calling import call_of
from slipway.networks.downloads import download_timeout
from slipway.networks.factories import call_factory
from slipway.networks.user_code import first_sentence


def build(architecture: str, arguments: dict | None = None, sample: Tensors | None = None) -> torch.nn.Module:
    """Return the architecture with its initial weights, in eval mode and without auxiliary heads.

    `architecture` is one of `slipway.models.sources`, such as "resnet50" or "package.module:factory". `arguments` are
    its keyword arguments. Lazy modules such as LazyLinear get their shapes from `sample`, {input: array}. Raises
    SlipwayError if the factory cannot be imported, cannot be called with these arguments, or returns another type, and
    if a network with lazy modules does not accept the sample.
    """
    source = source_of(architecture)
    # With gradients, networks with the older weight_norm could not be copied.
    with users_modules_first(), torch.no_grad(), download_timeout():
        model = call_factory(source.factory(architecture), architecture, arguments or {})
    remove_heads(model)
    return model if sample is None else _settled(model, sample)


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
