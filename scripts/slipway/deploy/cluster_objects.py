"""Kubernetes objects, applied and live: their names, their provenance, their readiness."""

import hashlib
import json

from slipway.cluster.api_resources import MARK, is_ready, key, provenance
from slipway.cluster.managed_fields import set_fields

# Fields that the cluster adds to an object. Nobody may apply them.
ADDED = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
ADDED_NOTES = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


def reference(obj: dict) -> dict:
    """Return an object's kind, name and namespace, as needed to get and to delete it."""
    metadata = {name: value for name, value in obj["metadata"].items() if name in ("name", "namespace")}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}


def digest(obj: dict) -> str:
    """Return the SHA-256 of an object as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()


def applicable(live: dict) -> dict:
    """Return a live object in a form to apply again: with the fields that were set, without those the cluster added."""
    live = set_fields(live)
    metadata = {name: value for name, value in live["metadata"].items() if name not in ADDED}
    notes = {name: value for name, value in (metadata.get("annotations") or {}).items() if name not in ADDED_NOTES}
    spec = {name: value for name, value in live.items() if name != "status"}
    return spec | {"metadata": metadata | ({"annotations": notes} if notes else {})}


def summary(server: dict) -> str:
    """Return text: the name of a Deployment or InferenceService, and the SHA-256 of its repository's index."""
    index = provenance(server).get(f"{MARK}repository-index", "sha256:unknown").partition(":")[2]
    return f"{key(server)} (repository {index[:12]})"


def readiness(live: dict) -> str:
    """Return text: the number of a Deployment's ready pods, or whether an InferenceService is ready."""
    status = live.get("status") or {}
    if live["kind"] == "InferenceService":
        return "ready" if is_ready(live) else "NOT READY"
    wanted = (live.get("spec") or {}).get("replicas", 1)
    return f"{status.get('readyReplicas', 0)} of {wanted} pods ready"
