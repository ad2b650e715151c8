"""Proxies in the environment: they are for other machines, never for a server on this one.

The clients in this process ignore them (`connect`, `read_page`). A child program would use http_proxy even for
127.0.0.1, so it starts without these variables.
"""

from collections.abc import Mapping

_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "grpc_proxy"}


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the proxy variables, in upper or lower case."""
    return {name: value for name, value in environment.items() if name.lower() not in _VARIABLES}
