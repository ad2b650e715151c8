"""Whether a host is this machine."""

import ipaddress
import socket


def is_this_machine(host: str) -> bool:
    """Say whether a host is this machine: no program can listen at another's address."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Say whether only programs of this machine reach a server at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
