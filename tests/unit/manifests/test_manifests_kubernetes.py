"""kubernetes.yaml: of one GPU, and of a part of one."""

import json

import pytest
from helpers.artifacts.measured import FILES, H100, L4, container, gpu_target, kinds, pod

from slipway.core.artifacts import sha256
from slipway.manifests.pod_resources import product

# What was measured and declared is what is asked for


def test_everything_is_written(measured):
    found = measured().written()
    assert sorted(path.name for path in found.path("deploy").iterdir()) == sorted(FILES)
    assert kinds(found) == ["Deployment", "NetworkPolicy", "PodMonitor", "PrometheusRule", "Service", "ServiceAccount"]
    assert kinds(found, "kserve.yaml") == ["InferenceService", "ServingRuntime"]


def test_memory_is_the_most_that_the_chosen_configuration_took_with_its_margin(measured):
    found = measured(deploy={"cluster": {"memory_margin": 1.5}}).written()
    expected = -(-int(1200e6 * 1.5) // 2**20) + 256
    assert container(found)["resources"]["limits"]["memory"] == f"{expected}Mi"


def test_memory_is_written_as_kubernetes_writes_it(measured):
    took = (2 * 1024 - 256) * 2**20 / 1e6  # /dev/shm comes on top
    found = measured(deploy={"cluster": {"memory_margin": 1}}, rows={"h100": {"memory_mb": took}}).written()
    assert container(found)["resources"]["limits"]["memory"] == "2Gi"


def test_requests_equal_limits(measured):
    resources = container(measured().written())["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["nvidia.com/gpu"] == "1"


def test_the_node_has_the_gpu_that_the_engine_was_built_for(measured):
    affinity = pod(measured().written())["affinity"]["nodeAffinity"]
    [term] = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-H100-80GB-HBM3"]}
    ]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (H100, "NVIDIA-H100-80GB-HBM3"),
        (L4, "NVIDIA-L4"),
        ("Tesla T4 (compute capability 7.5)", "Tesla-T4"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb (compute capability 8.0)", "NVIDIA-A100-SXM4-40GB"),
    ],
)
def test_a_gpus_name_as_a_label(identity, expected):
    assert product(identity) == expected


def test_the_labels_of_nodes_may_be_declared(measured):
    labels = {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}
    found = measured(deploy={"cluster": {"node_labels": {"h100": labels}}}).written()
    assert "nvidia-h100-80gb" in json.dumps(pod(found)["affinity"])
    assert "gpu.product" not in found.text("kubernetes.yaml")


def test_the_repository_is_mounted_read_only_from_a_place_of_its_own(measured):
    found = measured(deploy={"cluster": {"claim": "models", "claim_path": "a/b"}}).written()
    version = f"v{sha256(found.path('h100/repository.json'))[:12]}"
    [mount] = [mount for mount in container(found)["volumeMounts"] if mount["name"] == "models"]
    assert mount == {
        "name": "models",
        "mountPath": "/models",
        "subPath": f"a/b/resnet50/h100/{version}",
        "readOnly": True,
    }
    [volume] = [volume for volume in pod(found)["volumes"] if volume["name"] == "models"]
    assert volume["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    assert found.record()["values"]["h100"]["repository_path"]["value"] == mount["subPath"]


def test_a_new_repository_changes_the_pods(measured):
    before = pod(measured().written())
    after = pod(measured(rows={"h100": {"p99_ms": 8.0}}).written())
    assert before["containers"][0]["volumeMounts"] != after["containers"][0]["volumeMounts"]


def test_triton_drains_before_the_pod_is_killed(measured):
    found = measured().written()
    [drain] = [flag for flag in container(found)["args"] if flag.startswith("--exit-timeout-secs=")]
    pause = container(found)["lifecycle"]["preStop"]["exec"]["command"]
    assert pause[0] == "sleep"
    assert pod(found)["terminationGracePeriodSeconds"] > int(pause[1]) + int(drain.split("=")[1])


def test_ready_is_when_the_model_is(measured):
    found = container(measured(deploy={"ready_timeout_s": 61}).written())
    for probe in ("startupProbe", "readinessProbe"):
        assert found[probe]["httpGet"] == {"path": "/v2/models/resnet50_trt/ready", "port": "http"}
    assert found["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert found["startupProbe"]["periodSeconds"] * found["startupProbe"]["failureThreshold"] == 65


def test_every_named_port_is_there(measured):
    found = measured().written()
    there = {port["name"]: port["containerPort"] for port in container(found)["ports"]}
    assert there == {"http": 8000, "grpc": 8001, "metrics": 8002}
    asked = [port["targetPort"] for port in found.one("kubernetes.yaml", "Service")["spec"]["ports"]]
    asked += [
        port["port"]
        for rule in found.one("kubernetes.yaml", "NetworkPolicy")["spec"]["ingress"]
        for port in rule["ports"]
    ]
    asked += [each["port"] for each in found.one("kubernetes.yaml", "PodMonitor")["spec"]["podMetricsEndpoints"]]
    assert set(asked) == set(there)
    for name, port in there.items():
        assert f"--{name}-port={port}" in container(found)["args"]


@pytest.mark.parametrize("compatibility", ["none", "hardware", "version"])
def test_version_compatible_engines_are_loaded_as_such(measured, compatibility):
    target = gpu_target(tensorrt={"version": "11.2.1.2", "compatibility": compatibility})
    found = measured(targets={"h100": target}).written()
    for name in ("kubernetes.yaml", "kserve.yaml", "arena.sh", "arena.yaml", "compose.yaml"):
        told = "--backend-config=tensorrt,version-compatible=true" in found.text(name)
        assert told == (compatibility == "version"), name


# Parts of a GPU


def test_a_shared_gpu_is_asked_for_by_the_memory_that_the_engine_took(measured):
    shared = {"gpu_resources": {"h100": "aliyun.com/gpu-mem"}, "gpu_memory_margin": 1.5}
    found = measured(deploy={"cluster": shared}).written()
    limits = container(found)["resources"]["limits"]
    assert limits["aliyun.com/gpu-mem"] == "4", "2600 MB and a half more, in GiB"
    assert "nvidia.com/gpu" not in limits
    assert "deployed on a part of one" in found.record()["warnings"]["h100"][0]


def test_a_mig_profile_is_asked_for_by_its_resource(measured):
    found = measured(deploy={"cluster": {"gpu_resources": {"h100": "nvidia.com/mig-1g.10gb"}}}).written()
    limits = container(found)["resources"]["limits"]
    assert limits["nvidia.com/mig-1g.10gb"] == "1"
    assert "nvidia.com/gpu" not in limits


def test_what_was_measured_on_a_part_of_a_gpu_is_no_surprise_there(measured):
    part = "NVIDIA H100 80GB HBM3 MIG 1g.10gb (compute capability 9.0)"
    found = measured(
        targets={"h100": gpu_target(part)},
        deploy={"cluster": {"gpu_resources": {"h100": "nvidia.com/mig-1g.10gb"}}},
    ).written()
    assert found.record()["warnings"]["h100"] == []
    assert "NVIDIA-H100-80GB-HBM3" in json.dumps(pod(found)["affinity"])


def test_a_part_of_a_gpu_that_is_too_small_is_refused(refused):
    message = refused(
        rows={"h100": {"gpu_memory_mb": 9000.0}},
        deploy={"cluster": {"gpu_resources": {"h100": "nvidia.com/mig-1g.10gb"}}},
    )
    assert "`deploy.cluster.gpu_resources.h100` is nvidia.com/mig-1g.10gb" in message
    assert "10.8 GB" in message
    assert "larger part" in message


@pytest.mark.parametrize("kind", ["memory_mb", "gpu_memory_mb"])
def test_memory_that_the_load_test_did_not_see_is_not_made_up(refused, kind):
    message = refused(
        rows={"h100": {kind: None}}, deploy={"cluster": {"gpu_resources": {"h100": "aliyun.com/gpu-mem"}}}
    )
    assert f"has no {kind} of 2 instances, batches up to 16: the load" in message
    assert "`load_test.requests`" in message


# The network


def test_only_clients_and_prometheus_reach_the_pods(measured):
    chosen = {"client_namespaces": ["shop", "app"], "monitoring_namespace": "prom"}
    spec = measured(deploy={"cluster": chosen}).written().one("kubernetes.yaml", "NetworkPolicy")["spec"]
    assert (spec["policyTypes"], spec["egress"]) == (["Egress", "Ingress"], [])
    clients, prometheus = spec["ingress"]
    assert clients["from"][0] == {"podSelector": {}}
    named = [each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in clients["from"][1:]]
    assert named == ["app", "shop"]
    assert "prom" in json.dumps(prometheus["from"])
    assert [port["port"] for port in prometheus["ports"]] == ["metrics"]


def test_metrics_are_never_published_outside(measured):
    found = measured(deploy={"cluster": {"service_type": "LoadBalancer"}}).written()
    service = found.one("kubernetes.yaml", "Service")["spec"]
    assert service["type"] == "LoadBalancer"
    assert [port["name"] for port in service["ports"]] == ["http", "grpc"]
    clients, prometheus = found.one("kubernetes.yaml", "NetworkPolicy")["spec"]["ingress"]
    assert "from" not in clients
    assert "from" in prometheus


def test_a_cluster_without_the_operator_gets_none_of_its_objects(measured):
    found = kinds(measured(deploy={"cluster": {"prometheus_operator": False}}).written())
    assert {"PodMonitor", "PrometheusRule"}.isdisjoint(found)


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule"])
def test_monitor_and_rules_have_the_labels_that_prometheus_selects_by_beside_their_own(measured, kind):
    plain = measured().written().one("kubernetes.yaml", kind)["metadata"]["labels"]
    labels = {"release": "prometheus", "app.kubernetes.io/name": "mine"}
    found = measured(deploy={"cluster": {"prometheus_operator_labels": labels}}).written()
    assert found.one("kubernetes.yaml", kind)["metadata"]["labels"] == plain | {"release": "prometheus"}


def test_the_alerts_are_about_the_model_in_its_namespace_alone(measured):
    rule = measured(deploy={"cluster": {"namespace": "vision"}}).written().one("kubernetes.yaml", "PrometheusRule")
    assert rule["metadata"]["namespace"] == "vision"
    [group] = rule["spec"]["groups"]
    [absent] = [each["expr"] for each in group["rules"] if each.get("alert") == "SlipwayModelAbsent"]
    assert absent == 'absent(nv_inference_request_success{model="resnet50_trt", namespace="vision"})'
