"""A load that does not end: it is given up at its time limit, or once a process died that was started for it."""

import socket
import subprocess
import sys

import pytest

from slipway.deploy.local import stuck_loads
from slipway.deploy.local.stuck_loads import Stuck, ending_loads
from slipway.triton.client.connection import connect
from slipway.triton.client.endpoint import Endpoint

# A process that starts one that dies at once, at each line that it reads, and does not wait for it.
NEGLIGENT = "import subprocess, sys\nkept = [subprocess.Popen(['true']) for _ in sys.stdin]"


@pytest.fixture
def client():
    """Yield a client of a server that takes a request and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        yield connect(Endpoint.parse(address))


@pytest.fixture
def server():
    """Yield a process that stands in for the server whose processes are watched."""
    process = subprocess.Popen([sys.executable, "-c", NEGLIGENT], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def load(client, server, timeout_s):
    """Load a model, for which the server starts a process that dies."""
    with ending_loads(client, server and server.pid, timeout_s):
        if server:
            server.stdin.write(b"start\n")
            server.stdin.flush()
        client.load_model("m", client_timeout=timeout_s)


def test_a_load_is_given_up_once_a_process_died_that_was_started_for_it(client, server, monkeypatch):
    monkeypatch.setattr(stuck_loads, "DEATH_S", 0.2)
    monkeypatch.setattr(stuck_loads, "INTERVAL_S", 0.05)
    with pytest.raises(Stuck, match="a process died that was to load an engine"):
        load(client, server, 300)


def test_a_load_is_given_up_at_its_time_limit(client):
    with pytest.raises(Stuck, match=r"within 1 s \(`deploy.ready_timeout_s`\)"):
        load(client, None, 1)
