"""The parts of a Triton pod that Kubernetes and KServe manifests share."""

import math

from slipway.manifests.common import DRAIN_S, POD_UID, USER, environment, guards
from slipway.manifests.pod_resources import resources

# The Service drops the pod before Triton drains, and Triton drains before the pod is killed.
LEAVE_SERVICE_S = 10
GRACE_S = LEAVE_SERVICE_S + DRAIN_S + 5
PROBE_S = 5


def container(d: dict, name: str, command: list[str]) -> dict:
    """Return the container: name, image, command, environment, resources and rights. The caller adds the mounts."""
    return {
        "name": name,
        "image": d["image"],
        # The image of a digest never changes; a tag may be pushed again.
        "imagePullPolicy": "IfNotPresent" if "@sha256:" in d["image"] else "Always",
        # As arguments, because the image's entry point prepares CUDA before it runs this command.
        "args": [*command, *guards(d, POD_UID)],
        "env": [{"name": variable, "value": value} for variable, value in sorted(environment(d).items())]
        + [{"name": POD_UID.strip("$()"), "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
        "resources": resources(d),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "tmp", "mountPath": "/tmp"}],
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVE_SERVICE_S)]}}},
    }


def probes(d: dict, port: str | int) -> dict:
    """Return the probes: start-up and readiness test the model, liveness tests the server."""
    model = {"httpGet": {"path": f"/v2/models/{d['served_as']}/ready", "port": port}}
    server = {"httpGet": {"path": "/v2/health/live", "port": port}}
    patience = math.ceil(d["ready_timeout_s"] / PROBE_S)
    return {
        "startupProbe": {**model, "periodSeconds": PROBE_S, "timeoutSeconds": PROBE_S, "failureThreshold": patience},
        "readinessProbe": {**model, "periodSeconds": PROBE_S, "timeoutSeconds": PROBE_S, "failureThreshold": 2},
        "livenessProbe": {**server, "periodSeconds": 10, "timeoutSeconds": PROBE_S, "failureThreshold": 3},
    }


def volumes(d: dict) -> list[dict]:
    """Return the two writable folders; the first is in memory."""
    return [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{d['shm_mib']}Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    ]


def rights() -> dict:
    """Return the security context of a pod: an ordinary user, with the default system calls."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def placement(d: dict) -> dict:
    """Return the node selector for the target's hardware, and the toleration of the GPU taint."""
    wanted = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(d["node_labels"].items())]
    constraints = {}
    if wanted:
        terms = {"nodeSelectorTerms": [{"matchExpressions": wanted}]}
        constraints["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    if d["on_gpu"]:
        constraints["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return constraints


def rollout(d: dict) -> dict:
    """Return the rollout strategy. A spare GPU cannot be assumed, so one old pod ends before its new one starts."""
    surge = {"maxSurge": 0, "maxUnavailable": 1} if d["on_gpu"] else {"maxSurge": 1, "maxUnavailable": 0}
    return {"type": "RollingUpdate", "rollingUpdate": surge}


def pull_secrets(d: dict) -> dict:
    """Return the names of the secrets for pulling the image, if there are any."""
    names = [{"name": name} for name in d["image_pull_secrets"]]
    return {"imagePullSecrets": names} if names else {}
