"""Waiting for a rollout: until the applied objects are ready, or until a problem shows that they will not be ready.

The objects are read once a second, as in Helm. So a rollout does not need the right to watch objects. In the helpers, a
goal is an applied Deployment or InferenceService, and `live` has the objects as they are in the cluster.
"""

import contextlib
import time

from slipway.cluster.api import Cluster
from slipway.cluster.api_errors import Refused, Unauthorized, Unreachable
from slipway.cluster.api_resources import SERVERS, condition, is_ready, key, labels_of, named, provenance, servers
from slipway.cluster.pod_diagnostics import PROBLEMS, PodDiagnosis, diagnosis_of, rollout_diagnosis, state_of
from slipway.cluster.transport import OUTAGE_S
from slipway.core.errors import SlipwayError

REVISION = "deployment.kubernetes.io/revision"
# The suffix of an InferenceService's Deployment.
KSERVE_SUFFIX = "-predictor"
# The interval at which the objects are read.
INTERVAL_S = 1.0
# The status of the cluster autoscaler, a ConfigMap.
AUTOSCALER = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}

# The live objects of a rollout: {kind: {name: object}}.
Live = dict[str, dict[str, dict]]


def wait(cluster: Cluster, objects: list[dict], timeout_s: float) -> None:
    """Wait until every Deployment and InferenceService of `objects`, the applied objects, is rolled out and ready.

    A problem that may end by itself gets some time, at most a quarter of `timeout_s`. Raises SlipwayError with the
    reason if a rollout fails. At the timeout, raises SlipwayError with the objects that are not ready.
    """
    goals, end = servers(objects), time.monotonic() + timeout_s
    live, read_at = None, time.monotonic()
    since: dict[tuple[str, str], float] = {}
    while True:
        try:
            now = _read(cluster, goals)
            _require_there(goals, live or {}, now)
            live, read_at = now, time.monotonic()
        except (Refused, Unreachable) as error:
            # While the API starts, it does not know the roles yet, and forbids everything.
            may_pass = isinstance(error, Unreachable) or (live is not None and not isinstance(error, Unauthorized))
            if not may_pass or time.monotonic() - read_at > OUTAGE_S:
                raise
        if live is not None:
            missing = [reason for goal in goals if (reason := _missing(goal, live))]
            if not missing:
                return
            if time.monotonic() > end:
                raise SlipwayError(f"not ready within {timeout_s:g} s: {'; '.join(missing)}. {_states(live)}")
            _require_no_trouble(cluster, live, since, timeout_s / 4)
        time.sleep(max(0.0, min(INTERVAL_S, end - time.monotonic())))


def adds_nodes(cluster: Cluster) -> bool:
    """Say whether the cluster has a cluster autoscaler, which adds nodes. False if its status cannot be read."""
    with contextlib.suppress(SlipwayError):
        return cluster.get({"apiVersion": "v1", "kind": "ConfigMap", "metadata": AUTOSCALER}) is not None
    return False


def _read(cluster: Cluster, goals: list[dict]) -> Live:
    """Return the present objects of a rollout: {kind: {name: object}}.

    `goals` are the applied Deployments and InferenceServices. The result has these, their Deployments, ReplicaSets and
    pods, and the warning events of the namespace.
    """
    live: Live = {kind: {} for kind in (*SERVERS, "ReplicaSet", "Pod", "Event")}
    for goal in goals:
        deployment = named("Deployment", _deployment(goal), "apps/v1")
        for wanted in {key(obj): obj for obj in (goal, deployment)}.values():
            if obj := cluster.get(wanted):
                live[wanted["kind"]][wanted["metadata"]["name"]] = obj
        for kind, api_version in (("ReplicaSet", "apps/v1"), ("Pod", "v1")):
            for obj in cluster.list(kind, api_version, labels=labels_of(goal)):
                live[kind][obj["metadata"]["name"]] = obj
    with contextlib.suppress(Refused):
        events = cluster.list("Event", fields="type=Warning")
        live["Event"] = {event["metadata"]["name"]: event for event in events}
    return live


def _deployment(goal: dict) -> str:
    name = goal["metadata"]["name"]
    return name if goal["kind"] == "Deployment" else f"{name}{KSERVE_SUFFIX}"


def _missing(goal: dict, live: Live) -> str:
    """Return text on why `goal`, an applied Deployment or InferenceService, is not ready yet; "" if it is ready.

    `live` is the result of `_read`.
    """
    name = key(goal)
    made = live["Deployment"].get(_deployment(goal))
    if goal["kind"] == "Deployment":
        return f"{name} {_behind(made)}" if made is None or _behind(made) else ""
    service = live["InferenceService"].get(goal["metadata"]["name"])
    if service is None or not _is_seen(service):
        return f"{name} was not taken up by KServe"
    if made is not None and (_is_other(goal, made) or _behind(made)):
        return f"{name}: its Deployment {_behind(made) or 'is that of before'}"
    ready = condition(service, "Ready")
    message = ready.get("message") or ready.get("reason") or "KServe says no more"
    return "" if is_ready(service) else f"{name} is not ready ({message})"


def _behind(made: dict | None) -> str:
    """Return text on why the rollout of the Deployment `made` is not complete; "" if the rollout is complete.

    `made` is the live object, None if it does not exist. A rollout is complete if the controller has seen the change,
    and all replicas are new and available.
    """
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


def _is_seen(obj: dict) -> bool:
    """Say whether a controller has seen the last change of an object, so that its status is about this change.

    A status without a generation counts as seen.
    """
    generation = obj["metadata"].get("generation", 0)
    status = obj.get("status") or {}
    return bool(status) and status.get("observedGeneration", generation) >= generation


def _is_other(service: dict, made: dict) -> bool:
    """Say whether KServe has not yet changed the Deployment `made` for the applied InferenceService `service`.

    Then the annotations with the SHA-256 of the artifacts still differ.
    """
    there = provenance(made["spec"]["template"])
    return any(there.get(name, value) != value for name, value in provenance(service).items())


def _require_there(goals: list[dict], before: Live, now: Live) -> None:
    """Raise SlipwayError if somebody deleted an applied object during the rollout.

    `goals` are the applied objects. `before` and `now` are two results of `_read`. An object was deleted if it existed
    before and does not exist now, or if it is being deleted.
    """
    for goal in goals:
        kind, name = goal["kind"], goal["metadata"]["name"]
        is_gone = name in before.get(kind, {}) and name not in now[kind]
        if is_gone or "deletionTimestamp" in now[kind].get(name, goal)["metadata"]:
            raise SlipwayError(f"{key(goal)} was deleted by somebody else while it was rolled out; deploy again")


def _require_no_trouble(cluster: Cluster, live: Live, since: dict, patience_s: float) -> None:
    """Raise SlipwayError if a problem of a pod or a Deployment lasts too long, at most `patience_s` seconds.

    `live` is the result of `_read`. `since` is {(name, reason) of a problem: its start, by the monotonic clock in
    seconds}. This function updates it.
    """
    problems = _problems(live)
    for ended in set(since) - set(problems):
        del since[ended]
    for name, diagnosis in problems.items():
        began = since.setdefault(name, time.monotonic())
        passes_within_s = PROBLEMS.get(diagnosis.reason, {}).get("passes_within_s", 0)
        if time.monotonic() - began < min(passes_within_s, patience_s):
            continue
        if diagnosis.reason != "Unschedulable" or not adds_nodes(cluster):
            about_pods = f". {_states(live)}" if diagnosis.of_rollout else ""
            raise SlipwayError(f"{diagnosis.explained(cluster)}{about_pods}")
        # The cluster may add a node until the timeout.
        since[name] = time.monotonic()


def _problems(live: Live) -> dict[tuple[str, str], PodDiagnosis]:
    """Return {(name, reason): diagnosis} of all problems of new pods and of Deployments.

    `live` is the result of `_read`. Problems of replaced pods do not count.
    """
    events = list(live["Event"].values())
    diagnoses = [diagnosis_of(pod, events) for pod in _new_pods(live)]
    diagnoses += [rollout_diagnosis(made) for made in live["Deployment"].values() if _is_seen(made)]
    return {(diagnosis.pod, diagnosis.reason): diagnosis for diagnosis in diagnoses if diagnosis}


def _new_pods(live: Live) -> list[dict]:
    """Return the pods of the new version: those of each Deployment's newest ReplicaSet.

    `live` is the result of `_read`. A Deployment whose change the controller has not seen yet has no new pods.
    """
    newest = {
        owned["metadata"]["uid"]
        for made in filter(_is_seen, live["Deployment"].values())
        for owned in live["ReplicaSet"].values()
        if made["metadata"]["uid"] in _owners(owned) and _revision(owned) == _revision(made)
    }
    pods = [pod for pod in live["Pod"].values() if "deletionTimestamp" not in pod["metadata"]]
    return [pod for pod in pods if newest & _owners(pod)]


def _revision(obj: dict) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(REVISION)


def _owners(obj: dict) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or []}


def _states(live: Live) -> str:
    events = list(live["Event"].values())
    states = [state_of(pod, events) for pod in live["Pod"].values()]
    return f"Pods: {'; '.join(states)}" if states else "There are no pods"
