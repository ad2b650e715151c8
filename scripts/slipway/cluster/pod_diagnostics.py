"""What keeps pods from serving, as their status, their log and the events about them say it."""

from dataclasses import dataclass

from slipway.cluster.api import Cluster
from slipway.core.errors import SlipwayError

LOG_LINES = 12
# For how many seconds each may pass by itself: a registry that is slow, a GPU that an old pod still holds, a volume
# that another node still has. What is not here does not pass.
PASSES_AFTER_S = {
    "Unschedulable": 180,
    "ImagePullBackOff": 30,
    "ErrImagePull": 30,
    "CreateContainerConfigError": 30,
    "CreateContainerError": 30,
    "FailedMount": 120,
    "FailedAttachVolume": 120,
    # Of a quota, while the pods that are replaced still count.
    "FailedCreate": 120,
    # Said of the rollout before, until the one that goes back has moved.
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
    """Why a pod does not serve; `container` is which of its containers, where it is one's own.

    Of a whole Deployment `pod` is its name, and `of_rollout` is true.
    """

    pod: str
    reason: str
    message: str
    container: str = ""
    of_rollout: bool = False

    def passes_after_s(self) -> float:
        """Return for how many seconds this may pass by itself."""
        return PASSES_AFTER_S.get(self.reason, 0)

    def explained(self, cluster: Cluster) -> str:
        """Return the trouble in words, with what the container last said where that tells more."""
        what = f"the rollout of Deployment {self.pod} is stuck" if self.of_rollout else f"pod {self.pod} does not start"
        told = f"{what} ({self.reason}): {self.message.rstrip('.') or 'the cluster says no more'}"
        if advice := ADVICE.get(self.reason):
            return f"{told}; {advice}"
        return told if self.of_rollout else f"{told}{_last_words(cluster, self)}"


def trouble_of(pod: dict, events: list[dict]) -> PodDiagnosis | None:
    """Return what keeps a pod from serving, or None while nothing does that anybody told."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return PodDiagnosis(name, "Unschedulable", condition.get("message", ""))
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in (*PASSES_AFTER_S, *FINAL):
            return PodDiagnosis(name, waiting["reason"], _message(waiting, container), container["name"])
    return _of_events(pod, events) if status.get("phase") == "Pending" else None


def trouble_of_rollout(deployment: dict) -> PodDiagnosis | None:
    """Return what keeps a Deployment from getting its pods, as its controller says; None while nothing does."""
    name, conditions = deployment["metadata"]["name"], deployment.get("status", {}).get("conditions", [])
    for condition in conditions:
        refused = condition["type"] == "ReplicaFailure" and condition["status"] == "True"
        if refused or condition.get("reason") == "ProgressDeadlineExceeded":
            return PodDiagnosis(name, condition["reason"], condition.get("message", ""), of_rollout=True)
    return None


def state_of(pod: dict, events: list[dict]) -> str:
    """Return a pod's state in a few words."""
    if "deletionTimestamp" in pod["metadata"]:
        return f"{pod['metadata']['name']}: ends"
    if trouble := trouble_of(pod, events):
        return (
            f"{trouble.pod}: {trouble.reason} ({trouble.message})"
            if trouble.message
            else f"{trouble.pod}: {trouble.reason}"
        )
    containers = pod.get("status", {}).get("containerStatuses", [])
    reasons = [reason for each in containers if (reason := (each["state"].get("waiting") or {}).get("reason"))]
    ready = containers and all(each["ready"] for each in containers)
    told = reasons or ["ready" if ready else f"{pod.get('status', {}).get('phase', 'Unknown')}, not ready"]
    return f"{pod['metadata']['name']}: {', '.join(told)}"


def _message(waiting: dict, container: dict) -> str:
    """Return why a container waits, and how it ended the last time."""
    ended = container.get("lastState", {}).get("terminated") or {}
    how = f"it ended with exit code {ended['exitCode']} ({ended.get('reason', 'Error')})" if "exitCode" in ended else ""
    return "; ".join(filter(None, (how, waiting.get("message", ""))))


def _of_events(pod: dict, events: list[dict]) -> PodDiagnosis | None:
    for event in events:
        involved = event.get("involvedObject", {})
        same = involved.get("uid") == pod["metadata"]["uid"]
        if same and event.get("reason") in ("FailedMount", "FailedAttachVolume"):
            return PodDiagnosis(pod["metadata"]["name"], event["reason"], event.get("message", ""))
    return None


def _last_words(cluster: Cluster, trouble: PodDiagnosis) -> str:
    """Return the end of a container's log, of its last start where there were several."""
    for previous in (True, False):
        try:
            text = cluster.log(trouble.pod, trouble.container, LOG_LINES, previous)
        except SlipwayError:
            continue
        if lines := text.strip().splitlines():
            return ". It last said:\n" + "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
    return ". Its log cannot be read or is empty"
