"""A step back: what stops it before anything changes, and what it writes down of several models."""

import socket
from dataclasses import asdict
from types import SimpleNamespace

import pytest
from helpers.artifacts.damages import DAMAGES, damage
from helpers.artifacts.receipts import local_receipt
from helpers.models import parts

import rollback
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.ledger import DEPLOYMENT, ROLLBACK, Rollout
from slipway.deploy.local import platform as local
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.release import Part, Release
from slipway.deploy.release_history import ReleaseHistory
from slipway.deploy.release_store import ReleaseStore
from slipway.triton.client.ports import Ports


@pytest.fixture
def ports():
    return Ports.free()


@pytest.fixture
def options(tmp_path, monkeypatch, ports):
    """Return the options of a step back from version 2, of which the receipt says that it is served at `ports`."""
    monkeypatch.setattr(local, "local_installation", lambda *_: pytest.fail("something was about to change"))
    receipt = local_receipt("m", 2, {"listening": asdict(ports)})
    write_json(tmp_path / "m" / "deploy" / "receipt.json", receipt)
    return rollback.parse_arguments(["--results", str(tmp_path / "m"), "--state", str(tmp_path / "state")])


def test_without_anything_that_was_live_before_nothing_changes(options):
    with pytest.raises(SlipwayError, match=r"that was live before m_trt version 2; .* Nothing was changed"):
        rollback.main(options)


def test_with_nothing_live_there_is_nothing_to_go_back_from(tmp_path):
    given = ["--results", str(tmp_path / "m"), "--state", str(tmp_path / "state")]
    with pytest.raises(SlipwayError, match="nothing is deployed to local from here"):
        rollback.main(rollback.parse_arguments(given))


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_receipt_is_told_and_nothing_changes(options, content):
    damage(options.results[0] / "deploy" / "receipt.json", content)
    with pytest.raises(
        SlipwayError, match=r"receipt\.json is missing or damaged; .*writes it again\. Nothing was changed"
    ):
        rollback.main(options)


def test_a_port_that_another_server_took_since_is_told(options, ports, monkeypatch):
    index = {"name": "m_trt", "engine_key": {"runtime": "openvino"}}
    monkeypatch.setattr(ReleaseHistory, "before", lambda *_: parts.release(parts.part(index)))
    with (
        socket.create_server((ports.host, ports.grpc)),
        pytest.raises(SlipwayError, match=f"port {ports.grpc} on 127.0.0.1 is taken by process .* nothing was changed"),
    ):
        rollback.main(options)


@pytest.fixture
def server_of_three(tmp_path, monkeypatch):
    """Return a function for the history of some models; `a`, `b` and `c` are live on one server."""
    monkeypatch.chdir(tmp_path)
    live = {"a": 1, "b": 2, "c": 1}
    store = ModelStore(tmp_path / "state")
    for versions in ({"a": 1, "b": 1, "gone": 1}, live):
        store.ledger.went_live(
            versions, models={"gone": {"model": "gone", "targets": ["cpu"]}}, last=live | {"gone": 1}
        )
    for name, number in live.items():
        write_json(tmp_path / name / "deploy" / "receipt.json", local_receipt(name, number, served_as=name))
    for name in (*live, "gone"):
        write_json(tmp_path / f"{name}.json", {"name": name})
    stored = lambda _, name, number: Part(name, "", tmp_path, tmp_path / f"{name}.json", tmp_path, number=number)  # noqa: E731
    monkeypatch.setattr(ModelStore, "published", stored)
    return lambda *names: ReleaseHistory(store, [tmp_path / name / "deploy" / "receipt.json" for name in names])


def test_of_several_models_only_what_changed_goes_back(server_of_three, monkeypatch, capsys):
    """The models are live together on one server; `c` was not, before, and `gone` was taken out since."""
    history = server_of_three("a", "b", "c")
    release = history.before()
    assert (release.versions, release.withdrawn) == ({"b": 1, "gone": 1}, ("c",))

    history.begin(release, {}, ROLLBACK)
    begun = history.pending()
    assert (begun.versions, begun.before) == ({"a": 1, "b": 1, "gone": 1}, {"a": 1, "b": 2, "c": 1})
    more = {entry["model"]: entry["more"] for entry in begun.receipts.values()}
    assert more == {"gone": {}, "b": {"rolled_back_from": 2}}
    assert begun.withdrawn == [history.receipts[2].as_posix()]
    assert str(begun) == "the rollback of b version 1, gone version 1"
    found = SimpleNamespace(to="local", history=history, live_platform=object)
    receipts = {name: {"served_as": name, "number": 1} for name in ("gone", "b")}
    monkeypatch.setattr(rollback, "deploy", lambda *_: receipts)
    rollback.roll_back(found, release, {}, 3, [path.parents[1] for path in history.receipts])
    said = capsys.readouterr().err
    assert "a: version 1 as before" in said
    assert "b: version 2 -> 1" in said
    assert "c: was not served before" in said
    assert "gone: version 1, which had been undeployed, is live again" in said
    assert "gone is not in this configuration; the next deployment undeploys it again" in said

    history.store.ledger.write(receipts={"c/deploy/receipt.json": local_receipt("c", served_as="c")})
    history.record({name: local_receipt(name, served_as=name, published={}) for name in ("gone", "b")})
    assert history.serving() == {"a": 1, "b": 1, "gone": 1}
    assert not history.receipts[2].exists()
    history.store.ledger.restore_receipts()
    assert not history.receipts[2].exists(), "what was taken out of service came back, under another path"
    assert history.store.ledger.before(history.serving()) is None, "b and c were rolled back"


def test_one_model_alone_goes_back_and_the_others_stay(server_of_three):
    release = server_of_three("b").before(alone=True)
    assert (release.versions, release.withdrawn) == ({"b": 1}, ())
    history = server_of_three("gone")
    release = history.before(alone=True)
    assert (release.versions, release.withdrawn) == ({"gone": 1}, ())
    history.begin(release, {}, ROLLBACK)
    assert history.pending().versions == {"a": 1, "b": 2, "c": 1, "gone": 1}
    with pytest.raises(
        SlipwayError, match=r"^no version is stored that was live before c version 1; .*Nothing was changed"
    ):
        server_of_three("c").before(alone=True)


def test_a_model_that_only_gets_a_new_server_stays_rolled_back_until_it_is_deployed_itself(server_of_three, tmp_path):
    receipt = local_receipt("b", 2, served_as="b") | {"rolled_back_from": 3}
    write_json(tmp_path / "b" / "deploy" / "receipt.json", receipt)
    history = server_of_three("a", "b")
    release = history.release({"a": 1, "b": 2})
    for action, chosen, more in (
        (DEPLOYMENT, {"a": 1}, {"rolled_back_from": 3}),
        (ROLLBACK, {"a": 1}, {"rolled_back_from": 3}),
        (DEPLOYMENT, {"a": 1, "b": 2}, {}),
    ):
        history.begin(release, {}, action, chosen)
        assert {entry["model"]: entry["more"] for entry in history.pending().receipts.values()} == {"a": {}, "b": more}


# In a cluster, each model by itself


def kept(results, *live, rolled_back=()):
    """Return the history of a model whose versions were live in this order; `rolled_back` no longer counts."""
    history = ReleaseHistory(ReleaseStore(results, "kubernetes"), [results / "deploy" / "receipt.kubernetes.json"])
    name = f"{results.name}_trt"
    for number in live:
        history.store.enter(name, number, {})
        history.store.ledger.went_live({name: number})
    for number in rolled_back:
        history.store.ledger.rolled_back({name: number})
    write_json(history.receipts[0], local_receipt(results.name, live[-1]) | {"to": "kubernetes"})
    return history


@pytest.fixture
def back_to(monkeypatch):
    """Return a function that says which version a history goes back to."""
    monkeypatch.setattr(ReleaseStore, "release", lambda _, versions, __: Release("kubernetes", (), record=versions))
    return lambda history: next(iter(history.before().record.values()))


def test_the_version_that_was_live_before_is_gone_back_to(tmp_path, back_to):
    assert back_to(kept(tmp_path, 1, 2, 3)) == 2


def test_a_version_that_was_rolled_back_is_not_gone_back_to(tmp_path, back_to):
    assert back_to(kept(tmp_path, 1, 2, 3, rolled_back=[2])) == 1


def test_a_model_without_an_older_version_keeps_every_other_where_it_is(tmp_path, back_to, monkeypatch):
    nowhere = SimpleNamespace(refresh=lambda *_, **__: False, lock=lambda: pytest.fail("something was about to change"))
    monkeypatch.setattr("slipway.deploy.kubernetes.Kubernetes.at", lambda *_: nowhere)
    kept(tmp_path / "first", 1, 2)
    kept(tmp_path / "second", 1)
    options = ["--to", "kubernetes", "--results", str(tmp_path / "first"), str(tmp_path / "second")]
    with pytest.raises(SlipwayError, match=r"live before second_trt version 1; .*Nothing was changed"):
        rollback.main(rollback.parse_arguments(options))


def test_after_a_deployment_that_was_killed_what_was_live_before_it_is_gone_back_to(tmp_path, back_to):
    history = kept(tmp_path, 1, 2)
    name = f"{tmp_path.name}_trt"
    for begun, expected in ((3, 2), (2, 1)):  # the second came as far as its receipt
        rollout = Rollout(DEPLOYMENT, {name: begun}, {name: 2}, {}, [])
        history.store.ledger.write(rollout=vars(rollout))
        assert back_to(history) == expected
