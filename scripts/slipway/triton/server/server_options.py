"""The command-line options that tell a program which tritonserver to start. Planning chooses this server."""

import argparse
import os
from dataclasses import dataclass

from slipway.triton.server.kinds import CONTAINER, PATH, WHEEL

# The environment variable in NVIDIA's image with its Triton release.
RELEASE_VARIABLE = "NVIDIA_TRITON_SERVER_VERSION"


@dataclass(frozen=True)
class ServerChoice:
    """The chosen server: a program on PATH ("path"), the one in nvidia-pytriton ("wheel"), or a "container".

    `run` is the kind. `image` is the name of the container's image, None for other kinds. `release` is the server's
    Triton release, None if unknown. `why` is the reason of the choice in words. Another reason reruns no job.
    """

    run: str
    image: str | None = None
    release: str | None = None
    why: str = ""

    def settings(self) -> dict[str, str | None]:
        """Return {"server", "server_image", "server_release"}: the options that tell a program which server to start.

        They are part of a job's settings, so another server makes the job's results stale. An option without a value is
        left out.
        """
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
    """Return the server that a program's options name (see `add_server_choice`)."""
    return ServerChoice(arguments.server, arguments.server_image, arguments.server_release, arguments.server_why)


def why_other_release(image: str, environment: dict[str, str], release: str | None) -> str | None:
    """Return a phrase if a container image has another Triton release than config.yaml says; otherwise None.

    `environment` is {variable: value} of the image, one of which may name its release. `release` is `triton.release`.
    If either release is unknown, return None.
    """
    inside = environment.get(RELEASE_VARIABLE)
    if inside and release and inside != release:
        return f"the image {image} has Triton {inside}, and `triton.release` is {release}"
    return None
