"""A step back: what stops it before anything changes, and what it writes down of several models."""

import socket
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.artifacts.damages import DAMAGES, damage

import rollback
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.local.live_sets import LiveSets
from slipway.triton.client.ports import Ports


@pytest.fixture
def ports():
    return Ports.free()


@pytest.fixture
def options(tmp_path, monkeypatch, ports):
    """Return the options of a step back from version 2, of which the receipt says that it is served at `ports`."""
    monkeypatch.setattr(rollback, "installation_for", lambda *_: pytest.fail("something was about to change"))
    receipt = {"model": "m", "served_as": "m_trt", "version": 2, "server": {"listening": asdict(ports)}}
    write_json(tmp_path / "receipt.json", receipt)
    given = ["--receipts", str(tmp_path / "receipt.json"), "--state", str(tmp_path / "state")]
    return rollback.parse_arguments(given)


def test_without_anything_that_was_live_before_nothing_changes(options):
    with pytest.raises(SlipwayError, match=r"was live on this machine before m_trt version 2; .* Nothing was changed"):
        rollback.main(options)


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_receipt_is_told_and_nothing_changes(options, content):
    damage(options.receipts[0], content)
    with pytest.raises(
        SlipwayError, match=r"receipt\.json is missing or damaged; .*writes it again\. Nothing was changed"
    ):
        rollback.main(options)


def test_a_port_that_another_server_took_since_is_told(options, ports, monkeypatch):
    monkeypatch.setattr(rollback, "versions_before", lambda *_: [])
    with (
        socket.create_server((ports.host, ports.grpc)),
        pytest.raises(SlipwayError, match=f"port {ports.grpc} on 127.0.0.1 is taken by process .* nothing was changed"),
    ):
        rollback.main(options)


def test_of_several_models_only_what_changed_goes_back(tmp_path, capsys):
    history = LiveSets(tmp_path / "live.json")
    for versions in ({"a": 1, "b": 1, "gone": 1}, {"a": 1, "b": 2, "c": 1}):
        history.went_live(versions)
    store = SimpleNamespace(history=history, published=lambda name, number: SimpleNamespace(name=name, number=number))
    versions = rollback.versions_before(store, {"a": 1, "b": 2, "c": 1})
    assert [(version.name, version.number) for version in versions] == [("a", 1), ("b", 1)]

    live = {
        tmp_path / name: {"model": name, "served_as": name, "version": was}
        for name, was in (("a", 1), ("b", 2), ("c", 1))
    }
    told = rollback.rollback_of(live, versions)
    assert (told.versions, told.before) == ({"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 1})
    assert {Path(file).name: said["more"] for file, said in told.receipts.items()} == {
        "a": {},
        "b": {"rolled_back_from": 2},
    }
    assert told.withdrawn == [(tmp_path / "c").as_posix()]
    rollback.tell(live, versions)
    said = capsys.readouterr().err
    assert "a: version 1 as before" in said
    assert "b: version 2 -> 1" in said
    assert "c: was not served before" in said
