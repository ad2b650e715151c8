"""Build a network by the name of its architecture, such as "resnet50", and explain failures of the user's factory.

A factory is a function that makes a network, from torchvision, timm, transformers or the user's own package.
"""

import traceback
from collections.abc import Callable

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError, explained_by
from slipway.core.pytorch import torch
from slipway.core.user_modules import users_modules_first
from slipway.models.auxiliary_heads import remove_heads
from slipway.models.sources import source_of
from slipway.networks.calling import call_of
from slipway.networks.downloads import attempted_download, download_timeout
from slipway.networks.user_code import first_sentence, missing_package, place_of


def build(architecture: str, arguments: dict | None = None, sample: Tensors | None = None) -> torch.nn.Module:
    """Return the network of an architecture with its initial weights, in eval mode and without auxiliary heads.

    `architecture` is `architecture` of config.yaml, such as "resnet50" or "package.module:factory". `arguments` are the
    keyword arguments of its factory; None: no arguments. `sample`, {input: array}, gives lazy modules such as
    LazyLinear their shapes; with None, they stay lazy. Raises SlipwayError if the factory cannot be imported, cannot be
    called with these arguments, or returns another type. Raises SlipwayError, too, if a network with lazy modules does
    not accept the sample.
    """
    source = source_of(architecture)
    # PyTorch cannot copy a network with the older weight_norm if it was made with gradients.
    with users_modules_first(), torch.no_grad(), download_timeout():
        model = call_factory(source.factory(architecture), architecture, arguments or {})
    remove_heads(model)
    return model if sample is None else _settled(model, sample)


def call_factory(factory: Callable[..., object], architecture: str, arguments: dict) -> torch.nn.Module:
    """Return the network that `factory(**arguments)` makes, in eval mode.

    Raises SlipwayError with the cause and the line of the user's code if the factory fails or returns another type.
    `architecture` names the network in the message.
    """
    with explained_by(lambda error: _why_not(error, architecture, arguments)):
        network = factory(**arguments)
    if isinstance(network, torch.nn.Module):
        return network.eval()
    if isinstance(network, tuple | list):
        kinds = ", ".join(type(part).__name__ for part in network)
        result = f"a {type(network).__name__} ({kinds})"
    elif isinstance(network, type) and issubclass(network, torch.nn.Module):
        result = f"the class {network.__name__} and not an instance of it"
    elif network is None:
        result = "nothing (None): its `return` is missing"
    else:
        result = f"a {type(network).__name__}"
    raise SlipwayError(
        f"architecture {architecture} returns {result}, where one torch.nn.Module is needed; let `architecture` name a "
        "factory that returns the network alone"
    )


def _why_not(error: Exception, architecture: str, arguments: dict) -> str:
    message = first_sentence(error)
    place = place_of(error) if ":" in architecture else ""  # the user cannot correct torchvision's lines
    if package := missing_package(error):
        return (
            f"architecture {architecture} needs the package {package}, which is not installed{place}; install it "
            "into this environment"
        )
    if address := attempted_download(error):
        return (
            f"architecture {architecture} cannot be made: its factory downloads {address}, which cannot be fetched "
            f"here ({message}){place}; let it make the network alone, without weights (such as pretrained=False), "
            "since those come from `weights`, or copy the file into the cache that it searches (TORCH_HOME, HF_HOME)"
        )
    if isinstance(error, OSError):
        return (
            f"architecture {architecture} cannot be made: its factory reads or downloads something that is missing "
            f"here ({message}){place}; let it make the network alone, without weights, since those come from `weights`"
        )
    advice = f"{place}; correct `arguments` in config.yaml, or the factory"
    before_its_first_line = traceback.extract_tb(error.__traceback__)[-1].filename == __file__
    if not place or before_its_first_line:
        advice = "; correct `arguments` or `architecture` in config.yaml"
    return f"architecture {architecture} cannot be made with the arguments {arguments} ({message}){advice}"


def _settled(model: torch.nn.Module, sample: Tensors) -> torch.nn.Module:
    """Return the model. If it has lazy modules, a forward pass on `sample` initialises their parameters."""
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
