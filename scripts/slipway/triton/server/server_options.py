"""The options that tell a program which tritonserver planning has chosen."""

import argparse
import os
from dataclasses import dataclass

from slipway.triton.server.kinds import CONTAINER, PATH, WHEEL

# The environment variable with the release of the server in NVIDIA's container.
RELEASE_VARIABLE = "NVIDIA_TRITON_SERVER_VERSION"


@dataclass(frozen=True)
class ServerChoice:
    """The chosen server: "path", "wheel" or "container", its release if that is stated, and a container's image.

    `why` is the reason in words, which is not part of any key.
    """

    run: str
    image: str | None = None
    release: str | None = None
    why: str = ""

    def settings(self) -> dict[str, str | None]:
        """Return the options with which programs start the chosen server, for the keys of their jobs."""
        named = {"server_image": self.image, "server_release": self.release}
        return {"server": self.run, **{name: value for name, value in named.items() if value}}

    @property
    def release_here(self) -> str | None:
        """Return the server's release; None if it is unknown. A server on PATH states it as NVIDIA's image does."""
        return os.environ.get(RELEASE_VARIABLE) if self.run == PATH else self.release


def add_server_choice(arguments: argparse.ArgumentParser) -> None:
    """Add the options that say which tritonserver is started."""
    group = arguments.add_argument_group("tritonserver")
    group.add_argument("--server", choices=[PATH, WHEEL, CONTAINER], default=WHEEL, help="which one is started")
    group.add_argument("--server-image", help="image of the container")
    group.add_argument("--server-release", help="Triton release in it")
    group.add_argument("--server-why", default="", help="why it was chosen, for the record")


def choice_of(arguments: argparse.Namespace) -> ServerChoice:
    """Return the choice in the options."""
    return ServerChoice(arguments.server, arguments.server_image, arguments.server_release, arguments.server_why)


def why_other_release(image: str, environment: dict[str, str], release: str | None) -> str | None:
    """Return text if an image states another Triton release than the declared one; None if it does not."""
    inside = environment.get(RELEASE_VARIABLE)
    if inside and release and inside != release:
        return f"the image {image} has Triton {inside}, and `triton.release` is {release}"
    return None
