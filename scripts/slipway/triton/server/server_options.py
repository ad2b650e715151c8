"""Options that name the tritonserver for a program. Planning chooses this server."""

import argparse
import os
from dataclasses import dataclass

from slipway.triton.server.kinds import CONTAINER, PATH, WHEEL

# The environment variable in NVIDIA's image with its Triton release.
RELEASE_VARIABLE = "NVIDIA_TRITON_SERVER_VERSION"


@dataclass(frozen=True)
class ServerChoice:
    """The chosen server. `run` is "path", "wheel" or "container". `image` is the container's image.

    `release` is the server's Triton release if it is stated. `why` is the reason of the choice in words, which is in no
    key.
    """

    run: str
    image: str | None = None
    release: str | None = None
    why: str = ""

    def settings(self) -> dict[str, str | None]:
        """Return {option: value} that tells a program which server to start. The options are in the keys of jobs."""
        named = {"server_image": self.image, "server_release": self.release}
        return {"server": self.run, **{name: value for name, value in named.items() if value}}

    @property
    def release_here(self) -> str | None:
        """Return the server's Triton release; None if it is unknown.

        For a server on PATH, it comes from the environment variable that NVIDIA's image sets.
        """
        return os.environ.get(RELEASE_VARIABLE) if self.run == PATH else self.release


def add_server_choice(arguments: argparse.ArgumentParser) -> None:
    """Add the options that name the tritonserver to start: --server, --server-image and so on."""
    group = arguments.add_argument_group("tritonserver")
    group.add_argument("--server", choices=[PATH, WHEEL, CONTAINER], default=WHEEL, help="which one is started")
    group.add_argument("--server-image", help="image of the container")
    group.add_argument("--server-release", help="Triton release in it")
    group.add_argument("--server-why", default="", help="why it was chosen, for the record")


def choice_of(arguments: argparse.Namespace) -> ServerChoice:
    """Return the ServerChoice in a program's options."""
    return ServerChoice(arguments.server, arguments.server_image, arguments.server_release, arguments.server_why)


def why_other_release(image: str, environment: dict[str, str], release: str | None) -> str | None:
    """Return a phrase if the environment of an image names another Triton release than `release`, else None.

    If the image names no release, or `release` is None, return None.
    """
    inside = environment.get(RELEASE_VARIABLE)
    if inside and release and inside != release:
        return f"the image {image} has Triton {inside}, and `triton.release` is {release}"
    return None
