"""What of a live object was set by whom, so that going back to it sets nothing that the cluster allots."""

import pytest
from helpers.kubernetes_api.parts import connect, objects, services, stand_in

from slipway.cluster.managed_fields import set_fields
from slipway.deploy.kubernetes import Kubernetes, applicable, reference
from slipway.deploy.release_history import DeploymentState


@pytest.fixture
def server(tmp_path, monkeypatch):
    with stand_in(tmp_path, monkeypatch) as server:
        yield server


class Version:
    """A candidate, as far as only its objects count."""

    def __init__(self, **values):
        self.objects = objects(**values)


def managed(fields, manager="slipway", operation="Apply", **more):
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def live(spec, *entries):
    metadata = {"name": "tiny", "namespace": "serving", "labels": {"of": "nobody"}, "managedFields": list(entries)}
    return {"apiVersion": "v1", "kind": "Any", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("found", [*objects(), *services()], ids=lambda each: each["kind"])
def test_what_was_applied_is_found_in_what_is_there(server, found):
    cluster = connect()
    cluster.apply([found])
    there = cluster.get(found)
    assert there != found
    assert applicable(there) == found


def test_going_back_to_what_another_checkout_deployed_does_not_stand_in_the_way_of_the_next(server):
    cluster = connect()
    old, new = Version(), Version(index_sha256="99" * 32)
    cluster.apply(old.objects)
    address = cluster.get(old.objects[1])["spec"]["clusterIP"]
    platform = Kubernetes(cluster, "resnet50", 20)
    before = platform.snapshot(new, DeploymentState())
    cluster.apply(new.objects)
    assert "was applied again and serves" in platform.restore(new, before)
    cluster.apply(new.objects)
    assert cluster.get(reference(new.objects[1]))["spec"]["clusterIP"] == address


def replicas(server):
    return server.one("Deployment", "resnet50-h100")["spec"]["replicas"]


def test_replicas_that_an_autoscaler_counts_from_now_on_stay_as_many(server):
    platform = Kubernetes(connect(), "resnet50", 20)
    counted, scaled = Version(replicas=3, max_replicas=3), Version(replicas=3, max_replicas=6)
    platform.start(counted, {})
    platform.start(scaled, {})
    assert replicas(server) == 3
    before = platform.snapshot(counted, DeploymentState())
    by_autoscaler = server.store.get("Deployment", "serving", "resnet50-h100")
    by_autoscaler["spec"]["replicas"] = 5
    with server.store.lock:
        server.controller.reconcile(server.store.put(by_autoscaler))
    platform.start(scaled, {})
    assert replicas(server) == 5
    platform.start(counted, {})
    platform.restore(counted, before)
    assert replicas(server) == 3


def test_only_what_is_named_is_taken():
    spec = {
        "replicas": 3,
        "paused": False,
        "env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}],
        "ports": [{"port": 8000, "protocol": "TCP", "nodePort": 31000}],
        "finalizers": ["ours", "theirs"],
        "limits": {"cpu": "2"},
    }
    ours = {
        "f:replicas": {},
        "f:env": {'k:{"name":"b"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:ports": {'k:{"port":8000,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}}},
        "f:finalizers": {'v:"ours"': {}},
        "f:limits": {".": {}, "f:cpu": {}},
        "f:gone": {},
    }
    theirs = managed({"f:spec": {"f:paused": {}}}, manager="kubectl", operation="Update")
    assert set_fields(live(spec, managed({"f:spec": ours}), theirs)) == {
        "apiVersion": "v1",
        "kind": "Any",
        "metadata": {"name": "tiny", "namespace": "serving"},
        "spec": {
            "replicas": 3,
            "env": [{"name": "b", "value": "2"}],
            "ports": [{"port": 8000, "protocol": "TCP"}],
            "finalizers": ["ours"],
            "limits": {"cpu": "2"},
        },
    }


def test_of_what_slipway_never_applied_what_others_set_is_taken_but_no_status():
    by_kubectl = managed({"f:spec": {"f:paused": {}}}, manager="kubectl", operation="Update")
    by_cluster = managed({"f:spec": {"f:replicas": {}}}, manager="cluster", operation="Update", subresource="status")
    found = set_fields(live({"paused": True, "replicas": 3}, by_kubectl, by_cluster))
    assert found["spec"] == {"paused": True}


def test_an_object_of_which_nobody_knows_who_set_it_is_taken_whole():
    assert set_fields(live({"paused": True})) == live({"paused": True})
