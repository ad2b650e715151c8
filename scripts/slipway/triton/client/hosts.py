"""A check whether a server's address can be reached from this machine alone."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Say whether only programs of this machine reach a server at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
