"""Exposure of the local Triton to other machines: allowed only if its known vulnerabilities are accepted."""

import os
from collections.abc import Collection

from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT
from slipway.core.serving_environment import serving_version
from slipway.runtimes import RUNTIMES
from slipway.triton.client.hosts import is_loopback
from slipway.triton.server import releases
from slipway.triton.server.kinds import CONTAINER, PATH, WHEEL
from slipway.triton.server.on_path import on_path_with
from slipway.triton.server.server_options import RELEASE_VARIABLE, ServerChoice


def local_release(runtimes: Collection[str], choice: ServerChoice | None = None) -> str | None:
    """Return the release of the server here that would serve engines of `runtimes`; None if it is unknown."""
    if choice and choice.run == CONTAINER:
        return choice.release
    version, run = serving_version("nvidia-pytriton"), choice and choice.run
    native = run != WHEEL and on_path_with({RUNTIMES[name].backend for name in runtimes})
    if version == ABSENT or native or run == PATH:
        return os.environ.get(RELEASE_VARIABLE)
    release = releases.release_with("wheel", version)
    return release.triton if release else None


def require_accepted(host: str, runtimes: Collection[str], oldest: str, choice: ServerChoice | None = None) -> None:
    """Raise SlipwayError if other machines could reach a server at `host` that is unknown or older than `oldest`."""
    if is_loopback(host):
        return
    release = local_release(runtimes, choice)
    if release is None:
        raise SlipwayError(
            f"`deploy.host` {host} would let others reach the tritonserver of this machine, whose release is unknown: "
            f"leave it at 127.0.0.1, or state the release, as in NVIDIA's images, with the environment variable "
            f"{RELEASE_VARIABLE}, such as {releases.FLOOR} (of a container with `triton.release`). Nothing was changed"
        )
    if release < oldest:
        since = releases.vulnerability(release) or "older than what `triton.oldest` accepts"
        raise SlipwayError(
            f"`deploy.host` {host} would let others reach the server of this machine, Triton {release}, whose "
            f"vulnerabilities are {since}: leave it at 127.0.0.1, put a newer tritonserver on PATH, or accept that "
            f'knowingly with `triton.oldest: "{release}"`. Nothing was changed'
        )
