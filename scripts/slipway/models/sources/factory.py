"""Factories in the user's own package, as "package.module:factory". Nothing is published for them."""

from collections.abc import Callable
from pathlib import Path

from slipway.core.errors import SlipwayError, explained_by
from slipway.core.user_modules import import_users

TITLE = "your package"
PACKAGE = None
is_reproducible = False
is_planned = True


def factory(architecture: str) -> Callable[..., object]:
    """Return the user's callable. Raise SlipwayError if it cannot be imported."""
    with explained_by(
        lambda error: (
            f"architecture {architecture} cannot be imported ({error}); install its package into this environment or "
            "name its folder in PYTHONPATH, or correct `architecture` in config.yaml"
        )
    ):
        return import_users(architecture)


def named_weights(architecture: str, name: str) -> None:
    """Return None: there are no published weights. Raise SlipwayError for a name other than `default`."""
    if name != "default":
        raise SlipwayError(f"torchvision has no weights for {architecture}; set `weights` to the path of a checkpoint")


def recognised(architecture: str, checkpoint: Path) -> None:
    """Return None: every file is the user's own."""


def network_arguments(architecture: str, arguments: dict, published: None) -> dict:
    """Return the user's arguments."""
    return arguments


def notes(architecture: str, arguments: dict, published: None) -> list[str]:
    """Return []: there is nothing to say about the user's own network."""
    return []


def preprocessing(architecture: str, arguments: dict, weights: str) -> None:
    """Return None: nobody publishes a preprocessing."""


def planned_arguments(arguments: dict) -> dict:
    """Return the arguments."""
    return arguments
