"""Diagnosis of pods that do not become ready, from their status, their events and their log."""

from dataclasses import dataclass

from slipway.cluster.api import Cluster
from slipway.cluster.api_resources import condition
from slipway.core.errors import SlipwayError

LOG_LINES = 12
# Seconds within which each reason may pass by itself: a slow registry, a GPU that an old pod still holds, a volume that
# another node still has. Reasons that are not listed do not pass.
TRANSIENT_FOR_S = {
    "Unschedulable": 180,
    "ImagePullBackOff": 30,
    "ErrImagePull": 30,
    "CreateContainerConfigError": 30,
    "CreateContainerError": 30,
    "FailedMount": 120,
    "FailedAttachVolume": 120,
    # From a quota, while the replaced pods still count.
    "FailedCreate": 120,
    # A condition of the failed rollout, until the rollback has progressed.
    "ProgressDeadlineExceeded": 30,
}
FINAL = ("CrashLoopBackOff", "InvalidImageName", "RunContainerError")
ADVICE = {
    "Unschedulable": "free or add a node, or ask for less in `deploy.cluster`",
    "ImagePullBackOff": "correct `triton.image` or `deploy.cluster.image_pull_secrets`",
    "ErrImagePull": "correct `triton.image` or `deploy.cluster.image_pull_secrets`",
    "InvalidImageName": "correct `triton.image`",
    "FailedMount": "see whether the claim has this repository, and whether its node can reach the volume",
    "FailedAttachVolume": "see whether another node holds the volume",
    "FailedCreate": "have the quota raised, ask for less in `deploy.cluster`, or ask those who run the cluster",
}


@dataclass(frozen=True)
class PodDiagnosis:
    """Why a pod does not serve. `container` is the container at fault, "" if none is.

    For a whole Deployment, `pod` is the Deployment's name and `of_rollout` is true.
    """

    pod: str
    reason: str
    message: str
    container: str = ""
    of_rollout: bool = False

    def explained(self, cluster: Cluster) -> str:
        """Return the diagnosis as text, with the remedy, or with the end of the container's log if none is known."""
        stuck, idle = f"the rollout of Deployment {self.pod} is stuck", f"pod {self.pod} does not start"
        message = self.message.rstrip(".") or "the cluster says no more"
        problem = f"{stuck if self.of_rollout else idle} ({self.reason}): {message}"
        if advice := ADVICE.get(self.reason):
            return f"{problem}; {advice}"
        return problem if self.of_rollout else f"{problem}{_last_words(cluster, self)}"


def diagnosis_of(pod: dict, events: list[dict]) -> PodDiagnosis | None:
    """Return why a pod does not serve, from its status and events; None if they state no reason."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("reason") == "Unschedulable":
        return PodDiagnosis(name, "Unschedulable", scheduled.get("message", ""))
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in (*TRANSIENT_FOR_S, *FINAL):
            return PodDiagnosis(name, waiting["reason"], _message(waiting, container), container["name"])
    if status.get("phase") == "Pending":
        for event in events:
            same = event.get("involvedObject", {}).get("uid") == pod["metadata"]["uid"]
            if same and event.get("reason") in ("FailedMount", "FailedAttachVolume"):
                return PodDiagnosis(name, event["reason"], event.get("message", ""))
    return None


def rollout_diagnosis(deployment: dict) -> PodDiagnosis | None:
    """Return why a Deployment does not get its pods, as its controller states it; None if it states no problem."""
    for each in deployment.get("status", {}).get("conditions", []):
        refused = each["type"] == "ReplicaFailure" and each["status"] == "True"
        if refused or each.get("reason") == "ProgressDeadlineExceeded":
            name = deployment["metadata"]["name"]
            return PodDiagnosis(name, each["reason"], each.get("message", ""), of_rollout=True)
    return None


def state_of(pod: dict, events: list[dict]) -> str:
    """Return a pod's state in a few words."""
    if "deletionTimestamp" in pod["metadata"]:
        return f"{pod['metadata']['name']}: ends"
    if trouble := diagnosis_of(pod, events):
        return f"{trouble.pod}: {trouble.reason}" + (f" ({trouble.message})" if trouble.message else "")
    containers = pod.get("status", {}).get("containerStatuses", [])
    reasons = [reason for each in containers if (reason := (each["state"].get("waiting") or {}).get("reason"))]
    ready = containers and all(each["ready"] for each in containers)
    states = reasons or ["ready" if ready else f"{pod.get('status', {}).get('phase', 'Unknown')}, not ready"]
    return f"{pod['metadata']['name']}: {', '.join(states)}"


def _message(waiting: dict, container: dict) -> str:
    ended = container.get("lastState", {}).get("terminated") or {}
    how = f"it ended with exit code {ended['exitCode']} ({ended.get('reason', 'Error')})" if "exitCode" in ended else ""
    return "; ".join(filter(None, (how, waiting.get("message", ""))))


def _last_words(cluster: Cluster, trouble: PodDiagnosis) -> str:
    """Return the end of a container's log, from its previous start if there was one."""
    for previous in (True, False):
        try:
            text = cluster.log(trouble.pod, trouble.container, LOG_LINES, previous)
        except SlipwayError:
            continue
        if lines := text.strip().splitlines():
            return ". It last said:\n" + "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
    return ". Its log cannot be read or is empty"
