"""Objects of a cluster as they are applied and as they are there: their names, where they came from, how they do."""

import hashlib
import json

from slipway.cluster.api_resources import SERVERS
from slipway.cluster.managed_fields import set_fields
from slipway.cluster.rollout import KSERVE_LABEL

# What the cluster adds to an object, which is nobody's to apply.
ADDED = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
ADDED_NOTES = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
MARK = "slipway/"


def key(found: dict) -> str:
    """Return what names an object in its namespace, such as "Deployment resnet50-h100"."""
    return f"{found['kind']} {found['metadata']['name']}"


def reference(found: dict) -> dict:
    """Return an object's kind, name and namespace, by which it is asked for and deleted."""
    kept = {name: value for name, value in found["metadata"].items() if name in ("name", "namespace")}
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": kept}


def digest(found: dict) -> str:
    """Return the SHA-256 of an object as it is applied."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def servers(objects: list[dict]) -> list[dict]:
    """Return the objects that run servers, one a target in the order of the fleet."""
    return [each for each in objects if each["kind"] in SERVERS]


def labels_of(server: dict) -> dict[str, str]:
    """Return the labels by which a server's pods are found."""
    if server["kind"] == "InferenceService":
        return {KSERVE_LABEL: server["metadata"]["name"]}
    return server["spec"]["selector"]["matchLabels"]


def marks(found: dict) -> dict[str, str]:
    """Return the annotations by which an object says what it was made from."""
    annotations = found["metadata"].get("annotations") or {}
    return {name: value for name, value in annotations.items() if name.startswith(MARK)}


def applicable(live: dict) -> dict:
    """Return a live object as it can be applied again: what was set, without what the cluster itself adds to it."""
    live = set_fields(live)
    metadata = {name: value for name, value in live["metadata"].items() if name not in ADDED}
    notes = {name: value for name, value in (metadata.get("annotations") or {}).items() if name not in ADDED_NOTES}
    kept = {name: value for name, value in live.items() if name != "status"}
    return kept | {"metadata": metadata | ({"annotations": notes} if notes else {})}


def told(server: dict) -> str:
    """Return a server's name and the repository that it serves."""
    index = marks(server).get(f"{MARK}repository-index", "sha256:unknown").partition(":")[2]
    return f"{key(server)} (repository {index[:12]})"


def readiness(live: dict) -> str:
    """Return how many of a server's pods are ready, as the cluster says."""
    status = live.get("status") or {}
    if live["kind"] == "InferenceService":
        ready = [each["status"] for each in status.get("conditions", []) if each["type"] == "Ready"]
        return "ready" if ready == ["True"] else "NOT READY"
    wanted = (live.get("spec") or {}).get("replicas", 1)
    return f"{status.get('readyReplicas', 0)} of {wanted} pods ready"
