"""Diagnosis of pods that do not become ready, from their status, their events and their log."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from slipway.cluster.api import Cluster
from slipway.cluster.api_resources import condition
from slipway.core.errors import SlipwayError

# This module only explains failures, so no build key contains its code.
PART_OF_KEYS = False
LOG_LINES = 12
# {reason: {"passes_within_s": seconds in which the problem may end by itself, "advice": remedy}}
PROBLEMS: dict[str, dict] = yaml.safe_load(Path(__file__).with_name("pod_problems.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class PodDiagnosis:
    """The problem for which a pod does not serve: its reason, such as "ImagePullBackOff", and the cluster's message.

    `container` is the container with the problem, "" if the problem is in no container. For a whole Deployment, `pod`
    is the Deployment's name and `of_rollout` is true.
    """

    pod: str
    reason: str
    message: str
    container: str = ""
    of_rollout: bool = False

    def explained(self, cluster: Cluster) -> str:
        """Return text with the problem and the remedy, for an error message.

        If no remedy is known, the text ends with the last lines of the container's log, read from `cluster`.
        """
        stuck, idle = f"the rollout of Deployment {self.pod} is stuck", f"pod {self.pod} does not start"
        message = self.message.rstrip(".") or "the cluster says no more"
        problem = f"{stuck if self.of_rollout else idle} ({self.reason}): {message}"
        if advice := PROBLEMS.get(self.reason, {}).get("advice"):
            return f"{problem}; {advice}"
        return problem if self.of_rollout else f"{problem}{_last_words(cluster, self)}"


def diagnosis_of(pod: dict, events: list[dict]) -> PodDiagnosis | None:
    """Return the problem for which a pod does not serve; None if neither its status nor an event states a problem.

    `pod` and `events` are objects as the API returns them; `events` may be of other pods, too.
    """
    name, status = pod["metadata"]["name"], pod.get("status", {})
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("reason") == "Unschedulable":
        return PodDiagnosis(name, "Unschedulable", scheduled.get("message", ""))
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in PROBLEMS:
            return PodDiagnosis(name, waiting["reason"], _message(waiting, container), container["name"])
    if status.get("phase") == "Pending":
        for event in events:
            same = event.get("involvedObject", {}).get("uid") == pod["metadata"]["uid"]
            if same and event.get("reason") in ("FailedMount", "FailedAttachVolume"):
                return PodDiagnosis(name, event["reason"], event.get("message", ""))
    return None


def rollout_diagnosis(deployment: dict) -> PodDiagnosis | None:
    """Return the problem that prevents a Deployment's rollout, as its controller states it; None if it states none.

    `deployment` is the live object.
    """
    for stated in deployment.get("status", {}).get("conditions", []):
        refused = stated["type"] == "ReplicaFailure" and stated["status"] == "True"
        if refused or stated.get("reason") == "ProgressDeadlineExceeded":
            name = deployment["metadata"]["name"]
            return PodDiagnosis(name, stated["reason"], stated.get("message", ""), of_rollout=True)
    return None


def state_of(pod: dict, events: list[dict]) -> str:
    """Return text with the name and the state of a pod for messages, such as "tiny-5d8f: ready".

    `pod` and `events` are objects as the API returns them; the events may state why the pod does not start.
    """
    if "deletionTimestamp" in pod["metadata"]:
        return f"{pod['metadata']['name']}: ends"
    if problem := diagnosis_of(pod, events):
        return f"{problem.pod}: {problem.reason}" + (f" ({problem.message})" if problem.message else "")
    containers = pod.get("status", {}).get("containerStatuses", [])
    waiting = [container["state"].get("waiting") or {} for container in containers]
    reasons = [state["reason"] for state in waiting if state.get("reason")]
    ready = containers and all(container["ready"] for container in containers)
    states = reasons or ["ready" if ready else f"{pod.get('status', {}).get('phase', 'Unknown')}, not ready"]
    return f"{pod['metadata']['name']}: {', '.join(states)}"


def _message(waiting: dict, container: dict) -> str:
    ended = container.get("lastState", {}).get("terminated") or {}
    how = f"it ended with exit code {ended['exitCode']} ({ended.get('reason', 'Error')})" if "exitCode" in ended else ""
    return "; ".join(filter(None, (how, waiting.get("message", ""))))


def _last_words(cluster: Cluster, problem: PodDiagnosis) -> str:
    """Return text with the last lines of the log of the container in `problem`.

    After a restart, they are from the log before the restart, which has the reason.
    """
    for previous in (True, False):
        try:
            text = cluster.log(problem.pod, problem.container, LOG_LINES, previous)
        except SlipwayError:
            continue
        if lines := text.strip().splitlines():
            return ". It last said:\n" + "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
    return ". Its log cannot be read or is empty"
