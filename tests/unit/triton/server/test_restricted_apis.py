"""Who may change a server: what it guards at which address, with which key, and where it cannot."""

import pytest

from slipway.deploy.local import installation
from slipway.deploy.local.compatibility import Host
from slipway.deploy.local.installation import LocalInstallation
from slipway.deploy.local.model_store import ModelStore
from slipway.triton.client.ports import Ports
from slipway.triton.server.installation import Installation
from slipway.triton.server.restricted_apis import can_guard, local_flags
from slipway.triton.server.server_options import ServerChoice


def tritonserver(folder, usage):
    """Return a stand-in for a tritonserver whose --help says `usage`, and which ends as the real one does then."""
    program = folder / "tritonserver"
    program.write_text(f"#!/bin/sh\necho '{usage}' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def serving(folder, usage, host, shared_memory=True):
    """Return the flags of a server of such a tritonserver, and what identifies it."""
    at_hand = Installation(tritonserver(folder, usage), native_backends=True, folder=folder)
    found = LocalInstallation(at_hand, Host(True), folder, ModelStore(folder), 1, shared_memory)
    command = found.server(folder, ["m"], Ports(1, 2, 3, host), "log", "the-id")._command
    return [word for word in command if "restricted" in word], found.identity


@pytest.mark.parametrize(
    ("host", "guarded"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("10.0.0.7", True), ("gpu7", True)],
)
def test_shared_memory_is_open_where_it_is_asked_for_and_only_this_machine_reaches_the_server(host, guarded):
    for flag in local_flags("the-key", host, shared_memory=True):
        apis = set(flag.partition("=")[2].partition(":")[0].split(","))
        assert apis == {"model-repository", "trace", "logging", *(["shared-memory"] if guarded else [])}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_else_it_takes_a_header_that_no_client_can_send(host):
    with_key, *off = [flag.partition("=")[2] for flag in local_flags("k", host, shared_memory=False) if "grpc" in flag]
    assert with_key == "logging,model-repository,trace:slipway-key=k"
    header, _, value = off[0].removeprefix("shared-memory:").partition("=")
    assert {" ", ":"} <= set(header), "HTTP/1 sends no name with a colon, and gRPC none with either"
    assert value != "k"


def test_both_protocols_are_guarded_by_the_key_which_identifies_no_server(tmp_path):
    flags, identity = serving(tmp_path, "--http-restricted-api", "0.0.0.0")
    key = flags[0].rpartition("=")[2]
    guarded = f"logging,model-repository,shared-memory,trace:slipway-key={key}"
    assert flags == [f"--grpc-restricted-protocol={guarded}", f"--http-restricted-api={guarded}"]
    assert len(key) == 32
    assert key not in str(identity)
    assert serving(tmp_path, "--http-restricted-api", "0.0.0.0")[0] != flags, "each server has a key of its own"


def test_a_tritonserver_that_cannot_guard_is_started_all_the_same(tmp_path):
    flags, identity = serving(tmp_path, "--grpc-restricted-protocol", "127.0.0.1")
    assert flags == []
    assert identity["guarded"] is False
    assert not can_guard(str(tmp_path / "no such program"))


def test_the_real_tritonserver_can_guard(tmp_path):
    found = installation.find_installation(tmp_path, ServerChoice("wheel"))
    assert can_guard(found.program)
