"""Call the factory of a network, and explain its failures."""

import traceback
from collections.abc import Callable

import torch

from slipway.core.errors import SlipwayError, explained_by
from slipway.networks.downloads import attempted_download
from slipway.networks.user_code import first_sentence, missing_package, place_of


def call_factory(factory: Callable[..., object], architecture: str, arguments: dict) -> torch.nn.Module:
    """Return the network that `factory(**arguments)` makes, in eval mode.

    Raises SlipwayError with the cause and the line of the user's code if the factory fails or returns another type.
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
