"""Replicas, autoscalers and warnings that follow from the measured capacity of one server."""

import pytest
from helpers.artifacts.measured import L4, cpu_target, gpu_target, kinds

RATE = {"rate": 1000, "headroom": 0.25}


def deployments(found):
    objects = [each for each in found.objects("kubernetes.yaml") if each["kind"] == "HorizontalPodAutoscaler"]
    return {each["metadata"]["name"]: each["spec"]["minReplicas"] for each in objects}


def test_a_rate_gives_the_replicas_that_its_capacity_needs_everywhere(measured):
    found = measured(capacities={"h100": 300.0}, deploy=RATE).written()
    arithmetic = "1000 requests/s (deploy.rate) over 300/s that one server of h100 takes, of which 25% stay free"
    assert deployments(found) == {"resnet50-h100": 5}, "1000 / (300 * 0.75) is 4.4"
    assert "--replicas=5 " in found.text("arena.sh")
    assert found.one("kserve.yaml", "InferenceService")["spec"]["predictor"]["minReplicas"] == 5
    value = found.record()["values"]["h100"]["replicas"]
    assert value["value"] == 5
    assert (value["source"].endswith("selection.json"), value["key"]) == (True, "capacity.capacity_per_s")
    assert value["how"].startswith(arithmetic)
    for name in ("kubernetes.yaml", "kserve.yaml", "arena.yaml"):
        stated = [each["metadata"].get("annotations", {}) for each in found.objects(name)]
        assert any(each.get("slipway/replicas", "").startswith(arithmetic) for each in stated), name


def test_a_rate_that_fits_exactly_needs_no_more(measured):
    found = measured(capacities={"h100": 500.0}, deploy={"rate": 1000, "headroom": 0.0}).written()
    assert deployments(found) == {"resnet50-h100": 2}


def test_each_target_of_a_fleet_takes_what_the_slowest_pod_can(measured):
    """Its pods share one address, which spreads requests evenly."""
    targets = {"h100": gpu_target(), "l4": gpu_target(L4)}
    found = measured(targets=targets, capacities={"h100": 900.0, "l4": 100.0}, deploy=RATE).written()
    assert deployments(found) == {"resnet50-h100": 7, "resnet50-l4": 7}, "1000 / (100 * 0.75) / 2 is 6.7"


def test_declared_replicas_win_and_too_few_are_told(measured):
    found = measured(capacities={"h100": 300.0}, deploy={**RATE, "cluster": {"replicas": 2}}).written()
    assert deployments(found) == {"resnet50-h100": 2}
    warning = "deploy.cluster.replicas is 2, but deploy.rate needs 5: raise it, or leave it out"
    assert warning in found.record()["warnings"]["h100"]
    assert warning in " ".join(found.text("kubernetes.yaml").replace("# ", "").split())


def test_enough_declared_replicas_are_no_risk(measured):
    found = measured(capacities={"h100": 300.0}, deploy={**RATE, "cluster": {"replicas": 5}}).written()
    assert not [each for each in found.record()["warnings"]["h100"] if "deploy.rate" in each]


def test_a_maximum_below_what_the_rate_needs_is_told(measured):
    found = measured(capacities={"h100": 300.0}, deploy={**RATE, "cluster": {"max_replicas": 3}}).written()
    assert found.one("kubernetes.yaml", "Deployment")["spec"]["replicas"] == 5
    warning = "deploy.cluster.max_replicas is 3, but deploy.rate needs 5, so it is taken as 5"
    assert warning in found.record()["warnings"]["h100"]


def test_a_rate_without_a_capacity_is_told(measured):
    found = measured(deploy=RATE).written()
    assert found.one("kubernetes.yaml", "Deployment")["spec"]["replicas"] == 1
    [warning] = [each for each in found.record()["warnings"]["h100"] if "deploy.rate" in each]
    assert "cannot be told: no capacity of h100 was measured (`load_test.request_rates`)" in warning


def test_without_a_rate_there_is_one_replica(measured):
    found = measured(capacities={"h100": 300.0}).written()
    assert "HorizontalPodAutoscaler" not in kinds(found)
    assert "slipway/replicas" not in found.one("kubernetes.yaml", "Deployment")["metadata"]["annotations"]


@pytest.mark.parametrize(("capacity", "pending"), [(3000.0, "9"), (300.0, "1")])
def test_the_autoscaler_of_a_gpu_follows_the_requests_that_wait_at_the_capacity(measured, capacity, pending):
    """Each waits 4 ms, so at 3000/s twelve wait; a quarter stays free."""
    found = measured(capacities={"h100": capacity}, deploy={"headroom": 0.25, "cluster": {"replicas": 2}}).written()
    [metric] = found.one("kubernetes.yaml", "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["pods"]["target"]["averageValue"] == pending


def test_the_autoscaler_of_a_cpu_leaves_the_headroom_free(measured):
    deploy = {"headroom": 0.4, "cluster": {"replicas": 2}}
    found = measured(targets={"cpu": cpu_target()}, deploy=deploy).written()
    [metric] = found.one("kubernetes.yaml", "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == 60
    assert found.one("kserve.yaml", "InferenceService")["spec"]["predictor"]["scaleTarget"] == 60
