"""A step back: what stops it before anything changes, and what it writes down of several models."""

import os
import socket
from dataclasses import asdict
from types import SimpleNamespace

import pytest

import rollback
from slipway import local_server
from slipway.artifacts import read_json, write_json
from slipway.errors import SlipwayError
from slipway.triton.history import History
from slipway.triton.ports import Ports


@pytest.fixture
def ports():
    return Ports.free()


@pytest.fixture
def options(tmp_path, monkeypatch, ports):
    """Return the options of a step back from version 2, of which the receipt says that it is served at `ports`."""
    monkeypatch.setattr(rollback, "find_place", lambda *_: pytest.fail("something was about to change"))
    receipt = {"served_as": "m_trt", "version": 2, "server": {"listening": asdict(ports)}}
    write_json(tmp_path / "receipt.json", receipt)
    given = ["--receipts", str(tmp_path / "receipt.json"), "--state", str(tmp_path / "state")]
    return rollback.parse_arguments(given)


def test_without_anything_that_was_live_before_nothing_changes(options):
    with pytest.raises(SlipwayError, match=r"was live on this machine before m_trt version 2; .* Nothing was changed"):
        rollback.main(options)


def test_a_port_that_another_server_took_since_is_told(options, ports, monkeypatch):
    monkeypatch.setattr(rollback, "versions_before", lambda *_: [])
    with (
        socket.create_server((ports.host, ports.grpc)),
        pytest.raises(SlipwayError, match=f"port {ports.grpc} on 127.0.0.1 is taken by process .* nothing was changed"),
    ):
        rollback.main(options)


def test_of_several_models_only_what_changed_goes_back(tmp_path, monkeypatch, capsys):
    history = History(tmp_path / "live.json")
    for versions in ({"a": 1, "b": 1, "gone": 1}, {"a": 1, "b": 2, "c": 1}):
        history.went_live(versions)
    store = SimpleNamespace(history=history, published=lambda name, number: SimpleNamespace(name=name, number=number))
    versions = rollback.versions_before(store, {"a": 1, "b": 2, "c": 1})
    assert [(version.name, version.number) for version in versions] == [("a", 1), ("b", 1)]

    live = {
        tmp_path / name: {"model": name, "served_as": name, "version": was}
        for name, was in (("a", 1), ("b", 2), ("c", 1))
    }
    for path, said in live.items():
        write_json(path, said)
    local_server.write_state(tmp_path / "state", os.getpid(), 1, {})
    monkeypatch.setattr(rollback, "receipt", lambda model, version, proof, _: {"version": version.number, **proof})
    rollback.write_receipts(live, {version.name: (version, {}) for version in versions}, tmp_path / "state")
    assert read_json(tmp_path / "a") == {"version": 1}
    assert read_json(tmp_path / "b") == {"version": 1, "rolled_back_from": 2}
    assert not (tmp_path / "c").exists()
    said = capsys.readouterr().err
    assert "a: version 1 as before" in said
    assert "b: version 2 -> 1" in said
    assert "c: was not served before" in said
