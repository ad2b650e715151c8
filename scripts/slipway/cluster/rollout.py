"""Waiting for a rollout: until the applied objects are ready, or until it is clear that they will not be."""

import contextlib
import time

from slipway.cluster.api import Cluster
from slipway.cluster.api_resources import condition, is_ready, key, labels_of, provenance, selector, servers
from slipway.cluster.pod_diagnostics import TRANSIENT_FOR_S, PodDiagnosis, diagnosis_of, rollout_diagnosis, state_of
from slipway.cluster.watch import Followed, Interest, following
from slipway.core.errors import SlipwayError

REVISION = "deployment.kubernetes.io/revision"
# The suffix of an InferenceService's Deployment.
KSERVE_SUFFIX = "-predictor"
# The interval of checks on problems that may pass, while no event arrives.
LOOK_S = 1.0
# The status of the cluster autoscaler, a ConfigMap.
AUTOSCALER = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}


def wait(cluster: Cluster, objects: list[dict], timeout_s: float) -> None:
    """Wait until every Deployment and InferenceService of `objects` is rolled out and ready.

    A problem that may pass gets some time, at most a quarter of `timeout_s`. Raises SlipwayError with the reason if a
    rollout fails, and with the missing parts at the timeout.
    """
    goals = servers(objects)
    end = time.monotonic() + timeout_s
    since: dict[str, float] = {}
    warnings = Interest("Event", "v1", {"fieldSelector": "type=Warning"}, required=False)
    with following(cluster, [*(each for goal in goals for each in _interests(goal)), warnings]) as followed:
        while True:
            missing = [reason for goal in goals if (reason := _missing(goal, followed))]
            if not missing:
                return
            if time.monotonic() > end:
                raise SlipwayError(f"not ready within {timeout_s:g} s: {'; '.join(missing)}. {_states(followed)}")
            _require_there(goals, followed)
            _require_no_trouble(cluster, followed, since, timeout_s / 4)
            followed.await_change(min(LOOK_S, end - time.monotonic()))


def adds_nodes(cluster: Cluster) -> bool:
    """Say whether the cluster adds nodes for unschedulable pods; False if it does not state that."""
    with contextlib.suppress(SlipwayError):
        return cluster.get({"apiVersion": "v1", "kind": "ConfigMap", "metadata": AUTOSCALER}) is not None
    return False


def _interests(goal: dict) -> list[Interest]:
    """Return the watches for an object: itself, its Deployment, and the ReplicaSets and pods."""
    of_target = {"labelSelector": selector(labels_of(goal))}
    names = {(goal["kind"], goal["apiVersion"]): goal["metadata"]["name"], ("Deployment", "apps/v1"): _deployment(goal)}
    return [
        *(Interest(*kind, {"fieldSelector": f"metadata.name={name}"}) for kind, name in names.items()),
        Interest("Pod", "v1", of_target),
        Interest("ReplicaSet", "apps/v1", of_target),
    ]


def _deployment(goal: dict) -> str:
    name = goal["metadata"]["name"]
    return name if goal["kind"] == "Deployment" else f"{name}{KSERVE_SUFFIX}"


def _missing(goal: dict, followed: Followed) -> str:
    """Return why an object is not ready yet; "" if it is."""
    name = key(goal)
    made = followed.objects.get(("Deployment", _deployment(goal)))
    if goal["kind"] == "Deployment":
        return f"{name} {_behind(made)}" if made is None or _behind(made) else ""
    service = followed.objects.get(("InferenceService", goal["metadata"]["name"]))
    if service is None or not _is_seen(service):
        return f"{name} was not taken up by KServe"
    if made is not None and (_is_other(goal, made) or _behind(made)):
        return f"{name}: its Deployment {_behind(made) or 'is that of before'}"
    ready = condition(service, "Ready")
    message = ready.get("message") or ready.get("reason") or "KServe says no more"
    return "" if is_ready(service) else f"{name} is not ready ({message})"


def _behind(made: dict | None) -> str:
    """Return why a Deployment is behind: unseen by its controller, or old or unavailable replicas; "" if it is not."""
    if made is None:
        return "is not there"
    if not _is_seen(made):
        return "was not taken up by the cluster"
    status, wanted = made.get("status", {}), made["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    old = status.get("replicas", 0) - updated
    if updated < wanted or old > 0 or available < wanted:
        progress = f"has {available} of {wanted} replicas available, {updated} of them new"
        return progress + (f", and {old} old" if old > 0 else "")
    return ""


def _is_seen(found: dict) -> bool:
    """Say whether the status belongs to the present generation; without an observedGeneration it counts as present."""
    generation = found["metadata"].get("generation", 0)
    status = found.get("status") or {}
    return bool(status) and status.get("observedGeneration", generation) >= generation


def _is_other(service: dict, made: dict) -> bool:
    """Say whether KServe's Deployment still has another repository than the service."""
    there = provenance(made["spec"]["template"])
    return any(there.get(name, value) != value for name, value in provenance(service).items())


def _require_there(goals: list[dict], followed: Followed) -> None:
    for goal in goals:
        place = (goal["kind"], goal["metadata"]["name"])
        live = followed.objects.get(place, goal)
        if place in followed.gone or "deletionTimestamp" in live["metadata"]:
            raise SlipwayError(f"{key(goal)} was deleted by somebody else while it was rolled out")


def _require_no_trouble(cluster: Cluster, followed: Followed, since: dict, patience_s: float) -> None:
    """Raise SlipwayError for a problem that lasts too long. `since` is {problem: its start time}, and is updated."""
    troubles = _problems(followed)
    for ended in set(since) - set(troubles):
        del since[ended]
    for name, trouble in troubles.items():
        began = since.setdefault(name, time.monotonic())
        if time.monotonic() - began < min(TRANSIENT_FOR_S.get(trouble.reason, 0), patience_s):
            continue
        if trouble.reason != "Unschedulable" or not adds_nodes(cluster):
            about_pods = f". {_states(followed)}" if trouble.of_rollout else ""
            raise SlipwayError(f"{trouble.explained(cluster)}{about_pods}")
        # The cluster may add a node until the timeout.
        since[name] = time.monotonic()


def _problems(followed: Followed) -> dict[tuple[str, str], PodDiagnosis]:
    """Return {(name, reason): problem} of new pods and of Deployments. Problems of replaced pods do not count."""
    events = followed.of("Event")
    found = [diagnosis_of(pod, events) for pod in _new_pods(followed)]
    found += [rollout_diagnosis(made) for made in followed.of("Deployment") if _is_seen(made)]
    return {(trouble.pod, trouble.reason): trouble for trouble in found if trouble}


def _new_pods(followed: Followed) -> list[dict]:
    """Return the pods of each Deployment's newest ReplicaSet, after its controller has seen the change."""
    newest = {
        owned["metadata"]["uid"]
        for made in filter(_is_seen, followed.of("Deployment"))
        for owned in followed.of("ReplicaSet")
        if made["metadata"]["uid"] in _owners(owned) and _revision(owned) == _revision(made)
    }
    pods = [pod for pod in followed.of("Pod") if "deletionTimestamp" not in pod["metadata"]]
    return [pod for pod in pods if newest & _owners(pod)]


def _revision(found: dict) -> str | None:
    return (found["metadata"].get("annotations") or {}).get(REVISION)


def _owners(found: dict) -> set[str]:
    return {owner["uid"] for owner in found["metadata"].get("ownerReferences") or []}


def _states(followed: Followed) -> str:
    events = followed.of("Event")
    states = [state_of(pod, events) for pod in followed.of("Pod")]
    return f"Pods: {'; '.join(states)}" if states else "There are no pods"
