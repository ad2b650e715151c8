"""Which machine shares memory with this one, and memory that a server cannot see."""

import stat
from pathlib import Path

import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Connection
from slipway.triton.client.endpoint import Endpoint
from slipway.triton.client.shared_memory import SharedBatch, is_this_machine


def test_this_machine_is_known_by_its_addresses():
    assert is_this_machine("127.0.0.1")
    assert is_this_machine("localhost")
    assert not is_this_machine("192.0.2.1")  # of a network that exists in documentation only
    assert not is_this_machine("no-such-host.invalid")


def test_another_machine_shares_no_memory():
    with (
        Connection(Endpoint("192.0.2.1")) as connection,
        pytest.raises(SlipwayError, match=r"192.0.2.1 is not this machine.*leave --shared-memory out"),
    ):
        SharedBatch(connection, 100)


def regions():
    """Return what Python keeps as shared memory on this machine."""
    return {path for path in Path("/dev/shm").glob("psm_*") if stat.S_ISREG(path.stat().st_mode)}


def test_memory_that_the_server_cannot_see_is_refused_and_given_back(monkeypatch):
    unseen = InferenceServerException("Unable to open shared memory region: '/psm_1'", status="StatusCode.INTERNAL")

    def unable(*_, **__):
        raise unseen

    monkeypatch.setattr(triton.InferenceServerClient, "unregister_system_shared_memory", lambda *_, **__: None)
    monkeypatch.setattr(triton.InferenceServerClient, "register_system_shared_memory", unable)
    before = regions()
    with (
        Connection(Endpoint("127.0.0.1", 1)) as connection,
        pytest.raises(SlipwayError, match=r"(?s)Unable to open.*--ipc=host"),
        SharedBatch(connection, 100),
    ):
        pass
    assert regions() <= before
