"""kubernetes.yaml: of several replicas, of a fleet, and of a CPU."""

import json
import re

import pytest
from helpers.artifacts.measured import L4, container, cpu_target, gpu_target, kinds, pod

from slipway.core.artifacts import sha256

# Replicas


def test_one_replica_has_no_budget_and_leaves_its_gpu_to_the_next(measured):
    found = measured().written()
    spec = found.one("kubernetes.yaml", "Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert {"PodDisruptionBudget", "HorizontalPodAutoscaler"}.isdisjoint(kinds(found))


def test_from_two_replicas_up_there_are_budget_and_autoscaler(measured):
    found = measured(deploy={"cluster": {"replicas": 2}}).written()
    deployment = found.one("kubernetes.yaml", "Deployment")
    budget = found.one("kubernetes.yaml", "PodDisruptionBudget")["spec"]
    scaler = found.one("kubernetes.yaml", "HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in deployment["spec"], "a second `kubectl apply` would undo the autoscaler's work"
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["spec"]["selector"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "resnet50-h100"}
    [metric] = scaler["metrics"]
    assert metric["pods"]["target"]["averageValue"] == str(2 * 16)
    found.rows["h100"] = {"max_batch_size": 0}
    scaler = found.written().one("kubernetes.yaml", "HorizontalPodAutoscaler")["spec"]
    assert scaler["metrics"][0]["pods"]["target"]["averageValue"] == "2", "without batches, one for each instance"
    assert "no batches" in found.one("kubernetes.yaml", "Deployment")["metadata"]["annotations"]["slipway/serves"]
    [spread] = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"] == deployment["spec"]["selector"]


@pytest.mark.parametrize(("declared", "expected"), [(2, None), (3, 3)])
def test_the_autoscalers_reach_may_be_declared(measured, declared, expected):
    found = measured(deploy={"cluster": {"replicas": 2, "max_replicas": declared}}).written()
    assert ("HorizontalPodAutoscaler" in kinds(found)) == (expected is not None)
    if expected:
        assert found.one("kubernetes.yaml", "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == expected


# A fleet


@pytest.fixture
def fleet(measured):
    return measured(targets={"h100": gpu_target(), "l4": gpu_target(L4), "cpu": cpu_target()}).written()


def test_a_fleet_has_a_deployment_for_each_gpu_behind_one_address(fleet):
    deployments = [each for each in fleet.objects("kubernetes.yaml") if each["kind"] == "Deployment"]
    assert [each["metadata"]["name"] for each in deployments] == ["resnet50-h100", "resnet50-l4"]
    address = fleet.one("kubernetes.yaml", "Service")["spec"]["selector"]
    for each in deployments:
        own, labels = each["spec"]["selector"]["matchLabels"], each["spec"]["template"]["metadata"]["labels"]
        assert address.items() <= labels.items()
        assert own.items() <= labels.items()
    first, second = (each["spec"]["selector"]["matchLabels"] for each in deployments)
    assert first != second


def test_the_alerts_hold_a_fleet_to_its_slowest(measured):
    targets = {"h100": gpu_target(), "l4": gpu_target(L4)}
    found = measured(targets=targets, rows={"h100": {"p99_ms": 4.0}, "l4": {"p99_ms": 20.0}}).written()
    [group] = found.one("kubernetes.yaml", "PrometheusRule")["spec"]["groups"]
    [slow] = [each["expr"] for each in group["rules"] if each.get("alert") == "SlipwayP99AbovePromise"]
    assert slow.endswith(" > 25")


def test_the_rules_are_marked_with_every_repository_that_their_limits_come_from(fleet):
    """Weights alone do not tell two versions of them apart, of which a failed deployment goes back to one."""
    mark = "slipway/repository-index"
    deployments = [each for each in fleet.objects("kubernetes.yaml") if each["kind"] == "Deployment"]
    served = [each["metadata"]["annotations"][mark] for each in deployments]
    assert len(set(served)) == 2
    assert fleet.one("kubernetes.yaml", "PrometheusRule")["metadata"]["annotations"][mark].split(", ") == served


def test_each_of_a_fleet_goes_to_its_own_gpu_and_takes_its_own_engine(fleet):
    for target, gpu in {"h100": "NVIDIA-H100-80GB-HBM3", "l4": "NVIDIA-L4"}.items():
        assert gpu in json.dumps(pod(fleet, target)["affinity"])
        digest = sha256(fleet.path(f"{target}/repository.json"))
        annotations = fleet.one("kubernetes.yaml", "Deployment", target)["metadata"]["annotations"]
        assert annotations["slipway/repository-index"] == f"sha256:{digest}"
        assert (
            f"/{target}/v{digest[:12]}"
            in fleet.one("kserve.yaml", "InferenceService", target)["spec"]["predictor"]["model"]["storageUri"]
        )


def test_a_target_of_a_fleet_may_be_named(measured):
    targets = {"h100": gpu_target(), "l4": gpu_target(L4), "cpu": cpu_target()}
    found = measured(targets=targets, deploy={"fleet": ["l4", "cpu"]})
    assert found.resolved().fleet == ["l4", "cpu"]
    assert kinds(found.written()).count("Deployment") == 2


def test_without_a_gpu_the_deployed_target_is_the_fleet(measured):
    targets = {"a": cpu_target(), "b": {**cpu_target(), "runtime": "onnxruntime"}}
    assert measured(targets=targets).resolved().fleet == ["a"]
    assert measured(targets=targets, deploy={"target": "b"}).resolved().fleet == ["b"]


# A CPU


@pytest.fixture
def on_cpu(measured):
    return measured(targets={"cpu": cpu_target()}).written()


def test_a_cpu_target_asks_for_no_gpu_and_hides_those_of_the_node(on_cpu):
    for name in ("kubernetes.yaml", "kserve.yaml", "arena.yaml", "arena.sh", "compose.yaml"):
        assert not re.search(r"nvidia\.com/|gpu-mem|--gpus|driver: nvidia", on_cpu.text(name)), name
    found = container(on_cpu, "cpu")
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in found["env"]
    assert found["resources"]["limits"]["cpu"] == "4", "the cores that the load test had"
    assert {"affinity", "tolerations"}.isdisjoint(pod(on_cpu, "cpu"))


def test_a_cpu_target_is_replaced_without_a_gap(on_cpu):
    strategy = on_cpu.one("kubernetes.yaml", "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


def test_replicas_of_a_cpu_target_follow_its_cpus(measured):
    found = measured(targets={"cpu": cpu_target()}, deploy={"cluster": {"replicas": 3, "cpus": 8}}).written()
    [metric] = found.one("kubernetes.yaml", "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert container(found, "cpu")["resources"]["limits"]["cpu"] == "8"
    predictor = found.one("kserve.yaml", "InferenceService")["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"], predictor["scaleMetric"]) == (3, 6, "cpu")
