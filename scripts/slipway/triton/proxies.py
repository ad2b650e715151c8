"""Proxies of the environment, which are for the world outside and never for a server on this machine.

The clients of this process are told so where they connect (`connect`, `read_page`). A child program that asks the
server follows http_proxy even to 127.0.0.1, so it is started without.
"""

from collections.abc import Mapping

_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "grpc_proxy"}


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that name proxies, in upper or lower case."""
    return {name: value for name, value in environment.items() if name.lower() not in _VARIABLES}
