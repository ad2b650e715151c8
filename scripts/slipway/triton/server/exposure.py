"""A check before the local Triton listens for other machines: known vulnerabilities must be accepted."""

from slipway.core.errors import SlipwayError
from slipway.triton.client.hosts import is_loopback
from slipway.triton.server import releases
from slipway.triton.server.kinds import WHEEL
from slipway.triton.server.server_options import RELEASE_VARIABLE, ServerChoice


def require_accepted(host: str, choice: ServerChoice, oldest: str) -> None:
    """Raise SlipwayError if other machines can reach `host` and the server's release is unknown or before `oldest`.

    `host` is the address at which the server listens. `choice` is the server that planning chose. `oldest` is
    `triton.oldest` of config.yaml: the oldest Triton release that the user accepts, such as "26.07".
    """
    if is_loopback(host):
        return
    release = releases.release_of_wheel() if choice.run == WHEEL else choice.release_here
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
