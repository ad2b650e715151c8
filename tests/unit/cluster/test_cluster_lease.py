"""One deployer at a time: who holds the lease, for how long, and what becomes of it."""

import copy

import pytest
from helpers.kubernetes_api.parts import connect, stand_in

from slipway.cluster.lease import hold
from slipway.core.errors import SlipwayError

NAME = "slipway-resnet50"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with stand_in(tmp_path, monkeypatch) as server:
        yield server


def lease(server):
    return server.one("Lease", NAME)


def taken(server, holder, renewed):
    """Let somebody else have the lease, in the place of whoever has it."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 30, "acquireTime": renewed, "renewTime": renewed}
    meta = {"name": NAME, "namespace": "serving"}
    server.add({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec})


def test_the_lease_is_held_while_the_block_runs(server):
    with hold(connect(), NAME) as held:
        assert lease(server)["spec"]["holderIdentity"] == held.identity
        held.require()
    assert lease(server) is None


def test_the_lease_is_given_back_after_a_failure(server):
    with pytest.raises(RuntimeError, match="of the block"), hold(connect(), NAME):
        raise RuntimeError("of the block")
    assert lease(server) is None


def test_a_second_deployer_is_told_who_deploys_since_when(server):
    with hold(connect(), NAME) as first:
        since = lease(server)["spec"]["acquireTime"]
        with pytest.raises(SlipwayError) as caught, hold(connect(), NAME):
            pytest.fail("two at once")
        assert f"{first.identity} is deploying to serving" in str(caught.value)
        assert f"since {since}" in str(caught.value)
        assert "Nothing was changed" in str(caught.value)
        first.require()
    with hold(connect(), NAME):
        pass


def test_a_lease_whose_holder_died_is_taken_over(server):
    taken(server, "somebody who died", "2020-01-01T00:00:00.000000Z")
    with hold(connect(), NAME) as held:
        assert lease(server)["spec"]["holderIdentity"] == held.identity
    assert lease(server) is None


def test_a_lease_that_nobody_holds_is_taken(server):
    taken(server, "", "2020-01-01T00:00:00.000000Z")
    with hold(connect(), NAME) as held:
        assert lease(server)["spec"]["holderIdentity"] == held.identity


def test_the_lease_is_renewed(server, monkeypatch):
    monkeypatch.setattr("slipway.cluster.lease.RENEW_S", 0.02)
    with hold(connect(), NAME):
        first = lease(server)["spec"]
        server.until(lambda: len(server.asked("PUT")) >= 3)
        last = lease(server)["spec"]
        assert last["renewTime"] > first["renewTime"]
        assert last["acquireTime"] == first["acquireTime"]
    assert lease(server) is None


def test_a_renewal_that_fails_is_tried_again(server, monkeypatch):
    monkeypatch.setattr("slipway.cluster.lease.RENEW_S", 0.02)
    with hold(connect(), NAME) as held:
        server.fail(500, times=4, match="/leases")
        server.until(lambda: server.asked("PUT"))
        held.require()


def test_a_lease_that_nobody_took_while_the_api_was_away_is_still_held(server, monkeypatch):
    with hold(connect(), NAME) as held:
        before = lease(server)["spec"]["renewTime"]
        monkeypatch.setattr("slipway.cluster.lease.DURATION_S", -1)
        held.require()
        assert lease(server)["spec"]["renewTime"] > before


def test_a_lease_that_cannot_be_renewed_in_time_is_lost(server, monkeypatch):
    with hold(connect(), NAME) as held:
        monkeypatch.setattr("slipway.cluster.lease.DURATION_S", -1)
        server.fail(500, times=4, match="/leases")
        with pytest.raises(SlipwayError, match=r"could not be renewed.*told to fail with 500"):
            held.require()


def test_a_lease_that_another_took_is_not_given_back(server, monkeypatch):
    monkeypatch.setattr("slipway.cluster.lease.RENEW_S", 0.02)
    with pytest.raises(SlipwayError, match="another holds it now"):
        lose(server, held_by="another")
    assert lease(server)["spec"]["holderIdentity"] == "another"


def lose(server, held_by):
    """Take the lease of a block that runs, and wait in it until that is noticed."""
    with hold(connect(), NAME) as held:
        taken(server, held_by, "2999-01-01T00:00:00.000000Z")
        server.until(lambda: not is_held(held))


def is_held(held):
    try:
        held.require()
    except SlipwayError:
        return False
    return True


def test_one_of_two_that_begin_at_once_is_told(server, monkeypatch):
    cluster = connect()
    original = cluster.create

    def late(found):
        taken(server, "a faster one", "2999-01-01T00:00:00.000000Z")
        return original(found)

    monkeypatch.setattr(cluster, "create", late)
    with pytest.raises(SlipwayError, match="a faster one is deploying"), hold(cluster, NAME):
        pytest.fail("two at once")
    assert lease(server)["spec"]["holderIdentity"] == "a faster one"


def test_a_lease_that_changed_meanwhile_is_not_taken(server, monkeypatch):
    taken(server, "somebody who died", "2020-01-01T00:00:00.000000Z")
    cluster = connect()
    original = cluster.replace

    def late(found):
        found = copy.deepcopy(found)
        taken(server, "a faster one", "2999-01-01T00:00:00.000000Z")
        return original(found)

    monkeypatch.setattr(cluster, "replace", late)
    with pytest.raises(SlipwayError, match="a faster one is deploying"), hold(cluster, NAME):
        pytest.fail("two at once")


@pytest.mark.parametrize(
    ("namespace", "phrase"),
    [
        ("nowhere", 'namespaces "nowhere" not found.*`kubectl create namespace`'),
        ("going", "is being terminated. The namespace is being deleted: wait until it is gone"),
    ],
)
def test_a_namespace_that_is_not_there_or_going_is_said(server, namespace, phrase):
    server.add_namespace("going", phase="Terminating")
    with pytest.raises(SlipwayError, match=phrase), hold(connect(namespace=namespace), NAME):
        pytest.fail("not held")


def test_a_missing_right_to_leases_is_said(server):
    server.deny("create", "leases")
    with pytest.raises(SlipwayError, match=r"can-i create leases.coordination.k8s.io"), hold(connect(), NAME):
        pytest.fail("not held")
