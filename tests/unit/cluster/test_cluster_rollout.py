"""Waiting for a rollout: until it serves, until it is clear that it will not, and while the API comes and goes."""

import threading

import pytest
from helpers.kubernetes_api.parts import connect, objects, services, stand_in

from slipway.cluster.pod_diagnostics import PROBLEMS
from slipway.cluster.rollout import wait
from slipway.core.errors import SlipwayError

LONG_S = 60
SHORT_S = 0.5


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.cluster.rollout.INTERVAL_S", 0.02)
    with stand_in(tmp_path, monkeypatch) as server:
        yield server


def applied(server, behaviour="Ready", found=None, **values):
    """Apply the objects of a deployment that goes so, and return them."""
    server.behave(behaviour)
    found = found or objects(**values)
    connect().apply(found)
    return found


def failed(found, timeout_s, *phrases):
    """Wait for what fails; require each of the phrases."""
    with pytest.raises(SlipwayError) as caught:
        wait(connect(), found, timeout_s)
    said = str(caught.value)
    assert [phrase for phrase in phrases if phrase not in said] == [], said
    return said


class Waiting(threading.Thread):
    """Waits for a rollout beside the test, which sees how it ends."""

    def __init__(self, found):
        super().__init__()
        self.found, self.error = found, None

    def run(self):
        try:
            wait(connect(), self.found, LONG_S)
        except SlipwayError as error:
            self.error = error

    def ended(self):
        self.join(LONG_S)
        assert not self.is_alive()
        return self.error


def until_read(server, times=2):
    """Wait until the objects of the rollout were read some more times."""
    before = len(server.asked("GET", "/events"))
    server.until(lambda: len(server.asked("GET", "/events")) >= before + times)


@pytest.fixture
def waiting(server):
    """Wait for a rollout that has begun, and return the thread that waits, once it has read the objects."""
    found = applied(server, "Waiting")
    thread = Waiting(found)
    thread.start()
    until_read(server)
    yield thread
    server.finish()
    thread.ended()


# What succeeds


def test_a_deployment_that_is_ready_is_not_waited_for(server):
    wait(connect(), applied(server, replicas=2), LONG_S)


def test_a_rollout_is_waited_for_until_it_is_ready(server, waiting):
    until_read(server)
    assert waiting.is_alive()
    server.finish()
    assert waiting.ended() is None


@pytest.mark.parametrize(("code", "times"), [(503, 8), (500, 8), (404, 2)])
def test_an_api_that_is_away_for_moments_fails_no_rollout(server, waiting, code, times):
    server.fail(code, times, "/replicasets")
    server.until(lambda: not [each for each in server.failures if each.times > 0])
    server.finish()
    assert waiting.ended() is None


def test_an_api_that_stays_away_is_said(server, waiting, monkeypatch):
    monkeypatch.setattr("slipway.cluster.rollout.OUTAGE_S", 0.2)
    server.fail(503, 10_000, "/replicasets")
    assert "failed to list replicasets.apps (503" in str(waiting.ended())


def test_an_api_server_that_starts_again_may_forbid_for_moments_what_it_allowed(server, waiting):
    server.deny("list", "pods")
    before = len(server.asked("GET", "/pods"))
    server.until(lambda: len(server.asked("GET", "/pods")) > before + 2)
    server.denied.clear()
    server.finish()
    assert waiting.ended() is None


def test_credentials_that_are_withdrawn_meanwhile_are_said(server, waiting):
    server.token = "another"
    assert "does not accept your credentials (401)" in str(waiting.ended())


def test_events_that_may_not_be_read_are_done_without(server):
    server.deny("list", "events")
    wait(connect(), applied(server), LONG_S)


def test_a_status_of_before_is_not_believed(server):
    found = applied(server)
    live = server.store.get("Deployment", "serving", "resnet50-h100")
    live["spec"]["minReadySeconds"] = 1
    server.store.put(live)
    failed(found, SHORT_S, "Deployment resnet50-h100 was not taken up by the cluster")


def test_an_inference_service_is_waited_for(server):
    wait(connect(), applied(server, found=services()), LONG_S)


def test_an_inference_service_that_is_not_ready_is_said(server):
    found = applied(server, "Waiting", services())
    said = "InferenceService resnet50-h100: its Deployment has 0 of 1 replicas available"
    failed(found, SHORT_S, said, "ContainerCreating")


def test_an_inference_service_whose_deployment_is_that_of_before_is_not_ready(server):
    applied(server, found=services())
    failed(services(index_sha256="99" * 32), SHORT_S, "its Deployment is that of before")


# What fails


@pytest.mark.parametrize(
    ("behaviour", "phrases"),
    [
        ("Unschedulable", ["3 Insufficient nvidia.com/gpu", "free or add a node"]),
        ("ImagePullBackOff", ["Back-off pulling image", "`triton.image`"]),
        ("ErrImagePull", ["failed to pull", "`triton.image`"]),
        ("CreateContainerConfigError", ['secret "of-nobody" not found', "It last said"]),
        ("FailedMount", ["MountVolume.SetUp failed", "claim"]),
        ("FailedCreate", ["exceeded quota: few", "have the quota raised", "There are no pods"]),
        ("ProgressDeadlineExceeded", ["timed out progressing", "ContainerCreating"]),
    ],
)
def test_a_trouble_that_does_not_pass_is_said_before_the_time_is_over(server, monkeypatch, behaviour, phrases):
    monkeypatch.setitem(PROBLEMS[behaviour], "passes_within_s", 0.05)
    said = failed(applied(server, behaviour), LONG_S, f"({behaviour})", " resnet50-h100", *phrases)
    assert "not ready within" not in said


@pytest.mark.parametrize("behaviour", ["Unschedulable", "FailedCreate", "ProgressDeadlineExceeded"])
def test_a_trouble_is_given_time_to_pass(server, behaviour):
    thread = Waiting(applied(server, behaviour))
    thread.start()
    until_read(server)
    server.finish()
    assert thread.ended() is None


def test_a_short_time_to_wait_leaves_little_for_troubles(server):
    failed(applied(server, "Unschedulable"), 0.4, "Unschedulable", "3 Insufficient nvidia.com/gpu")


def test_a_pod_without_room_is_waited_for_where_nodes_are_added(server, monkeypatch):
    monkeypatch.setitem(PROBLEMS["Unschedulable"], "passes_within_s", 0.05)
    meta = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}
    server.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    thread = Waiting(applied(server, "Unschedulable"))
    thread.start()
    server.until(lambda: len(server.asked("GET", "/cluster-autoscaler-status")) > 1)
    server.finish()
    assert thread.ended() is None


def test_a_container_that_crashes_is_said_at_once_with_its_last_words(server):
    server.logs = "\n".join(f"line {number}" for number in range(40))
    found = applied(server, "CrashLoopBackOff")
    said = failed(found, LONG_S, "(CrashLoopBackOff)", "exit code 1", "It last said:", "line 39")
    assert "line 20" not in said
    [asked] = server.asked("GET", "/log")
    assert asked.query["previous"] == "true"
    assert asked.query["container"] == "triton"


def test_a_log_that_may_not_be_read_hides_no_failure(server):
    server.deny("get", "pods/log")
    failed(applied(server, "CrashLoopBackOff"), LONG_S, "exit code 1", "Its log cannot be read")


def test_a_deployment_that_somebody_deletes_is_not_waited_for(server, waiting):
    server.store.remove("Deployment", "serving", "resnet50-h100")
    assert "Deployment resnet50-h100 was deleted by somebody else" in str(waiting.ended())


def test_a_deployment_that_is_being_deleted_is_not_waited_for(server):
    found = applied(server, "Waiting")
    live = server.one("Deployment", "resnet50-h100")
    server.add({**live, "metadata": {**live["metadata"], "deletionTimestamp": "2026-11-23T13:50:49Z"}})
    failed(found, LONG_S, "Deployment resnet50-h100 was deleted by somebody else")


def test_a_rollout_that_takes_too_long_says_what_is_missing(server):
    found = applied(server, "Waiting", replicas=2)
    failed(found, SHORT_S, "not ready within 0.5 s", "0 of 2 replicas available", "ContainerCreating")


def test_troubles_of_pods_that_are_replaced_do_not_count(server):
    surging = {"on_gpu": False, "replicas": 1}
    applied(server, "CrashLoopBackOff", **surging)
    applied(server, "Waiting", image="triton:newer", **surging)
    found = objects(image="triton:newer", **surging)
    assert len([each for each in server.objects if each["kind"] == "Pod"]) == 2
    said = failed(found, SHORT_S, "not ready within", "CrashLoopBackOff", "ContainerCreating")
    assert "does not start" not in said


def test_what_may_not_be_read_is_said_at_once(server):
    found = applied(server, "Waiting")
    server.deny("list", "pods")
    failed(found, LONG_S, "cannot list", "`kubectl auth can-i list pods --namespace serving`")


def test_no_right_to_watch_is_needed(server):
    wait(connect(), applied(server), LONG_S)
    assert not [each for each in server.requests if "watch" in each.query]
