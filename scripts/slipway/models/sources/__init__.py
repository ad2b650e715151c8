"""The sources of networks, such as timm: packages that make networks by name. Each has a module here.

In each module, `SOURCE` is a `source_interface.Source`. For example, the module `timm` makes the architectures
"timm:NAME". Each module can be imported without PyTorch and without the source's own package, since planning imports
it.
"""

import importlib
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.models.source_interface import Source

# The sources of an architecture without a prefix, and of "module:factory" in the user's own package.
PLAIN, USERS = "torchvision", "factory"
SOURCES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def source_name(architecture: str) -> str:
    """Return the name of the source that makes an `architecture` of config.yaml, such as "timm" for "timm:resnet50".

    A source has the name of its module in this folder.
    """
    prefix, colon, _ = architecture.partition(":")
    if not colon:
        return PLAIN
    return prefix if prefix in SOURCES and prefix not in (PLAIN, USERS) else USERS


def source_of(architecture: str) -> Source:
    """Return the source that makes an `architecture` of config.yaml."""
    return source_named(source_name(architecture))


def source_named(name: str) -> Source:
    """Return a source by its name. Raise SlipwayError if the source's module lacks a part of the interface.

    The module is imported by name, so only its code, not that of other sources, decides whether a model is made again.
    """
    try:
        return importlib.import_module(f"{__name__}.{name}").SOURCE
    except (AttributeError, TypeError) as error:
        raise SlipwayError(f"the source {name} in {Path(__file__).parent} is not complete: {error}") from None
