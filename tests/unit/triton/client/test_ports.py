"""The ports of a new server stay its own until it listens, and between two servers."""

import errno
import socket
from collections import deque

import pytest

from slipway.triton.client import ports
from slipway.triton.client.ports import Ports


def test_only_a_server_that_asks_for_a_held_port_gets_it():
    found = Ports.free()
    for port in (found.http, found.grpc, found.metrics):
        with socket.socket() as stranger, pytest.raises(OSError, match="in use") as caught:
            stranger.bind(("127.0.0.1", port))
        assert caught.value.errno == errno.EADDRINUSE
        for _ in range(2):  # two servers, one after the other
            with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
                pass
    assert found.taken() == []


def test_only_the_last_ports_are_held(monkeypatch):
    monkeypatch.setattr(ports, "MOST_HELD", 3)
    monkeypatch.setattr(ports, "_HELD", deque())
    Ports.free()
    first = list(ports._HELD)
    Ports.free()
    assert len(ports._HELD) == 3
    assert all(held.fileno() == -1 for held in first)
    for held in ports._HELD:
        held.close()
