"""What is found out of a cluster before a deployment, and what is said of each thing that would make it fail."""

import pytest
from helpers.kubernetes_api.parts import connect, objects, services, stand_in, target

from slipway.cluster.preflight import check
from slipway.core.errors import SlipwayError

H100 = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
ONE_GPU = {"nvidia.com/gpu": "1"}
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


@pytest.fixture
def server(tmp_path, monkeypatch):
    with stand_in(tmp_path, monkeypatch) as server:
        server.claim("models")
        yield server


@pytest.fixture
def node(server):
    return server.node("gpu-1", H100, ONE_GPU, taints=[TAINT])


def checked(found=None, namespace="serving", **values):
    return check(connect(namespace=namespace), found or objects(**values), [target(**values)])


def refused(*phrases, **values):
    """Require that the check fails, each of the phrases said; return what was said."""
    with pytest.raises(SlipwayError) as caught:
        checked(**values)
    said = str(caught.value)
    assert [phrase for phrase in phrases if phrase not in said] == [], said
    return said


def other_pod(server, requests, node="gpu-1", namespace="elsewhere", phase="Running", labels=None):
    meta = {"name": f"other-{len(server.objects)}", "namespace": namespace, "labels": labels or {}}
    spec = {"nodeName": node, "containers": [{"name": "a", "image": "a", "resources": {"requests": requests}}]}
    server.add({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": phase}})


# A cluster that can take it


def test_what_was_verified_is_returned(server, node):
    found = checked()
    assert (found["context"], found["namespace"], found["kubernetes"]) == ("stand-in", "serving", "v1.31.4")
    assert found["not_verified"] == []
    said = "; ".join(found["verified"])
    for phrase in (
        "Kubernetes v1.31.4 is between 1.29.0 and",
        "the namespace serving is there",
        "rights",
        "the claim models is bound",
        "1 pod(s) of resnet50-h100 have room",
        "takes all 6 objects (dry run)",
    ):
        assert phrase in said


def test_nothing_is_changed(server, node):
    before = server.objects
    checked()
    assert server.objects == before
    assert all(each.query.get("dryRun") == "All" for each in server.asked("PATCH"))
    assert {each.path for each in server.asked("POST")} == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}


def test_kserves_objects_are_checked_as_well(server, node):
    assert "takes all 2 objects (dry run)" in "; ".join(checked(services())["verified"])


def test_every_right_that_a_rollout_takes_is_asked_for(server, node):
    checked()
    asked = [each.body["spec"]["resourceAttributes"] for each in server.asked("POST", "selfsubject")]
    assert {each["namespace"] for each in asked} == {"serving"}
    rights = {(each["verb"], each["group"], each["resource"], each.get("subresource")) for each in asked}
    assert {
        ("patch", "apps", "deployments", None),
        ("create", "monitoring.coreos.com", "podmonitors", None),
        ("list", "", "pods", None),
        ("get", "", "pods", "log"),
        ("create", "", "pods", "portforward"),
        ("update", "coordination.k8s.io", "leases", None),
    } <= rights


# The cluster, its namespace and its rights


@pytest.mark.parametrize("version", ["v1.28.9", "v1.9.0"])
def test_a_cluster_that_is_too_old_is_refused(server, version):
    server.version = version
    refused(f"stand-in is Kubernetes {version}", "1.29.0 and later")


def test_a_newer_cluster_than_was_validated_for_is_said(server, node):
    server.version = "v1.99.0+provider.1"
    assert "Kubernetes v1.99.0+provider.1" in checked()["not_verified"][0]


def test_a_missing_namespace_is_refused(server):
    refused("has no namespace nowhere", "kubectl create namespace nowhere", namespace="nowhere")


def test_a_namespace_that_is_being_deleted_is_refused(server):
    server.add_namespace("going", phase="Terminating")
    refused("the namespace going in stand-in is being deleted", "`deploy.cluster.namespace`", namespace="going")


def test_a_namespace_that_may_not_be_read_is_not_verified(server, node):
    server.deny("get", "namespaces")
    assert "whether the namespace serving is there" in checked()["not_verified"][0]


def test_all_missing_rights_are_said_at_once(server):
    server.deny("patch", "deployments")
    server.deny("create", "pods/portforward")
    refused(
        "patch deployments.apps; create pods/portforward",
        "kubectl auth can-i",
        "--namespace serving",
    )


def test_a_kind_that_is_not_installed_is_refused(server):
    server.uninstalled = {"monitoring.coreos.com"}
    refused("has no PodMonitor", "`deploy.cluster.prometheus_operator: false`")


# The claim and the secrets


def test_a_missing_claim_is_refused(server):
    refused("there is no claim other in serving", "`deploy.cluster.claim`", claim="other")


def test_a_claim_without_a_volume_is_refused(server):
    server.claim("models", phase="Pending")
    refused("the claim models in serving in stand-in is Pending", "kubectl describe pvc models")


def test_a_claim_that_is_being_deleted_is_refused(server):
    live = server.claim("models")
    server.add({**live, "metadata": live["metadata"] | {"deletionTimestamp": "2026-11-23T13:50:49Z"}})
    refused("the claim models in serving in stand-in is being deleted", "`deploy.cluster.claim`")


def test_a_pull_secret_is_looked_for_without_reading_it(server, node):
    meta = {"name": "registry", "namespace": "serving"}
    server.add({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"key": "aGlkZGVu"}})
    assert "the secret registry is there" in checked(image_pull_secrets=["registry"])["verified"]
    [asked] = server.asked("GET", "/secrets/registry")
    assert "as=PartialObjectMetadata" in asked.accept
    refused("there is no secret missing", "`kubectl create secret", image_pull_secrets=["missing"])


def test_a_secret_that_may_not_be_read_is_not_verified(server, node):
    server.deny("get", "secrets")
    assert "whether the secret registry" in checked(image_pull_secrets=["registry"])["not_verified"][0]


# Room


@pytest.mark.parametrize(
    "broken",
    [
        {"labels": {"nvidia.com/gpu.product": "NVIDIA-L4"}},
        {"ready": False},
        {"unschedulable": True},
        {"taints": [{"key": "dedicated", "value": "others", "effect": "NoSchedule"}]},
    ],
)
def test_a_node_that_cannot_be_used_does_not_count(server, broken):
    server.node("gpu-1", **{"labels": H100, "allocatable": ONE_GPU, **broken})
    refused("no node that is ready", "nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3", "`deploy.cluster.node_labels`")


def test_a_node_without_the_gpu_resource_is_said(server):
    server.node("gpu-1", H100)
    refused("gpu-1 has 0 of 1 nvidia.com/gpu")


def test_what_others_ask_for_is_taken(server, node):
    other_pod(server, ONE_GPU)
    refused("no room for resnet50-h100", "gpu-1 has 0 of 1 nvidia.com/gpu")


def test_a_pod_that_is_over_takes_nothing(server, node):
    other_pod(server, ONE_GPU, phase="Succeeded")
    assert checked()["not_verified"] == []


def test_memory_and_cores_count_too(server, node):
    other_pod(server, {"memory": "63Gi", "cpu": "15500m"})
    refused("gpu-1 has 0.5 of 2 cpu, 1.0 GiB of 2.0 GiB memory")


def test_the_pods_that_are_replaced_leave_their_room(server, node):
    connect().apply(objects())
    pod = next(each for each in server.objects if each["kind"] == "Pod")
    assert pod["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] == "1"
    server.add({**pod, "spec": {**pod["spec"], "nodeName": "gpu-1"}})
    assert "1 pod(s) of resnet50-h100 have room" in checked()["verified"]


def test_a_pod_that_starts_before_the_old_one_ends_needs_room_beside_it(server):
    on_cpu = {"on_gpu": False, "node_labels": {}, "cpus": 10}
    connect().apply(objects(**on_cpu))
    server.node("node-1")
    refused("no room for resnet50-h100: beside the pods that are replaced", "node-1 has 6 of 10 cpu", **on_cpu)
    server.node("node-2")
    assert "1 pod(s) of resnet50-h100 have room" in checked(**on_cpu)["verified"]


def test_pods_that_may_not_be_listed_are_not_counted(server, node, monkeypatch):
    other_pod(server, ONE_GPU)
    server.deny_everywhere("list", "pods")
    assert "listing the pods of all namespaces is forbidden" in checked()["not_verified"][0]


def test_each_replica_needs_its_own_room(server, node):
    refused("1 of 2 pods have room", replicas=2)
    server.node("gpu-2", H100, ONE_GPU)
    assert "2 pod(s) of resnet50-h100 have room" in checked(replicas=2)["verified"]


def test_two_targets_do_not_count_the_same_room(server, node):
    fleet = [target(), target(name="resnet50-other")]
    with pytest.raises(SlipwayError, match="no room for resnet50-other"):
        check(connect(), objects(), fleet)


def test_nodes_that_may_not_be_listed_are_not_verified(server):
    server.deny("list", "nodes")
    assert checked()["not_verified"] == ["whether a node has room: listing nodes is forbidden"]


def test_a_cluster_that_adds_nodes_is_not_refused(server):
    meta = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}
    server.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"status": "Healthy"}})
    assert "the cluster adds nodes by itself" in checked()["not_verified"][0]


# The dry run


def test_a_conflict_is_found_before_anything_is_changed(server, node):
    deployment = next(each for each in objects() if each["kind"] == "Deployment")
    scaled = {**deployment, "spec": {**deployment["spec"], "replicas": 7}}
    server.store.apply(scaled, "kubectl-scale", dry_run=False)
    refused(".spec.replicas is set by kubectl-scale", "Nothing was changed")


@pytest.mark.parametrize(
    ("metadata", "spec", "phrase"),
    [
        ({"deletionTimestamp": "2026-11-23T13:50:49Z"}, {}, "is being deleted since 2026-11-23T13:50:49Z"),
        ({}, {"paused": True}, "`kubectl rollout resume deployment/resnet50-h100 --namespace serving`"),
    ],
)
def test_what_would_never_be_rolled_out_is_found_before_anything_is_changed(server, node, metadata, spec, phrase):
    connect().apply(objects())
    live = server.one("Deployment", "resnet50-h100")
    server.add({**live, "metadata": live["metadata"] | metadata, "spec": live["spec"] | spec})
    refused("Deployment resnet50-h100 in stand-in", phrase, "Nothing was changed")
