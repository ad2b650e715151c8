"""Networks from the user's own package. `architecture` names the function that makes them: "package.module:factory".

Such networks have no published weights.
"""

from collections.abc import Callable
from typing import Any

from slipway.core.errors import SlipwayError, explained_by
from slipway.core.user_modules import import_users
from slipway.models.source_interface import Source


class Factories(Source):
    """The source of networks that callables of the user's own package return."""

    title = "your package"

    def factory(self, architecture: str) -> Callable[..., Any]:
        """Return the user's callable that makes the network. Raise SlipwayError if the callable cannot be imported."""
        with explained_by(
            lambda error: (
                f"architecture {architecture} cannot be imported ({error}); install its package into this environment "
                "or name its folder in PYTHONPATH, or correct `architecture` in config.yaml"
            )
        ):
            return import_users(architecture)

    def named_weights(self, architecture: str, name: str) -> None:
        """Return None: there are no published weights. Raise SlipwayError for a name other than `default`."""
        if name != "default":
            raise SlipwayError(
                f"torchvision has no weights for {architecture}; set `weights` to the path of a checkpoint"
            )


SOURCE = Factories()
