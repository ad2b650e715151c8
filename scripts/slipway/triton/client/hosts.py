"""A check whether only programs of this machine can reach a server."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Say whether a server that listens at `host` can be reached only by programs of the same machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
