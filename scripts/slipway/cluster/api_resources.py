"""Kinds of Kubernetes objects: their paths in the cluster's API, and the order in which to create objects."""

from dataclasses import dataclass
from typing import Any

# The order in which kinds are created: first the objects that other objects refer to. Other kinds come last.
ORDER = ["Namespace", "ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy", "Service"]
ORDER += ["ServingRuntime", "Deployment", "InferenceService", "PodDisruptionBudget", "HorizontalPodAutoscaler"]
# The kinds that run servers. A rollout waits for objects of these kinds.
SERVERS = ("Deployment", "InferenceService")
# The prefix of Slipway's annotations, which KServe copies to the pods.
MARK = "slipway/"
# The label of KServe's pods with the name of their InferenceService.
KSERVE_LABEL = "serving.kserve.io/inferenceservice"


@dataclass(frozen=True)
class Kind:
    """A kind of objects in the API, such as "Deployment" of "apps/v1", whose plural in paths is "deployments".

    `namespaced`: the objects of this kind belong to a namespace.
    """

    name: str
    api_version: str
    plural: str
    namespaced: bool

    @property
    def resource(self) -> str:
        """Return the name of the resource in `kubectl` and in messages of the API, such as "deployments.apps"."""
        return f"{self.plural}.{self.api_version.rpartition('/')[0]}".rstrip(".")

    def path(self, namespace: str | None = None, name: str = "", part: str = "") -> str:
        """Return the path of an object in the API, or of its subresource `part`, such as "log".

        Without `name`, return the path of all objects of the kind; without `namespace`, of all namespaces.
        """
        place = f"namespaces/{namespace}" if self.namespaced and namespace else ""
        return "/".join(filter(None, (root(self.api_version), place, self.plural, name, part)))


def key(obj: dict) -> str:
    """Return an object's kind and name, unique in its namespace, such as "Deployment resnet50-h100"."""
    return f"{obj['kind']} {obj['metadata']['name']}"


def named(kind: str, name: str, api_version: str = "v1") -> dict:
    """Return the form that identifies an object in its namespace: {"apiVersion", "kind", "metadata": {"name"}}."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}


def provenance(obj: dict) -> dict[str, str]:
    """Return the annotations that say from which artifacts an object was made, {name: value}, such as their SHA-256.

    By these, a live object is compared with the object of a manifest: if they differ, other artifacts were deployed.
    """
    annotations = obj["metadata"].get("annotations") or {}
    return {name: value for name, value in annotations.items() if name.startswith(MARK)}


def servers(objects: list[dict]) -> list[dict]:
    """Return the Deployments and InferenceServices in `objects`, one for each target, in the order of `objects`."""
    return [obj for obj in objects if obj["kind"] in SERVERS]


def labels_of(server: dict) -> dict[str, str]:
    """Return the labels that select the pods of `server`, a Deployment or InferenceService: {label: value}."""
    if server["kind"] == "InferenceService":
        return {KSERVE_LABEL: server["metadata"]["name"]}
    return server["spec"]["selector"]["matchLabels"]


def selector(labels: dict[str, str]) -> str:
    """Return labels as a label selector of the API, such as "app=tiny,tier=gpu"."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def condition(obj: dict, kind: str) -> dict:
    """Return the condition in an object's status with the type `kind`, such as "Ready"; {} without this condition."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((stated for stated in conditions if stated["type"] == kind), {})


def is_ready(obj: dict) -> bool:
    """Say whether a live pod, node or InferenceService is ready: its condition "Ready" is "True"."""
    return condition(obj, "Ready").get("status") == "True"


def root(api_version: str) -> str:
    """Return the path of an API version: "/apis/apps/v1" for "apps/v1", "/api/v1" for "v1"."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def kinds_of(listed: dict[str, Any], api_version: str) -> dict[str, Kind]:
    """Return the kinds of an API version, {name: Kind}, such as "Deployment" of "apps/v1".

    `listed` is the API's answer, an APIResourceList. Its subresources, such as the status, are left out.
    """
    return {
        resource["kind"]: Kind(resource["kind"], api_version, resource["name"], resource["namespaced"])
        for resource in listed["resources"]
        if "/" not in resource["name"]
    }


def in_order(objects: list[dict]) -> list[dict]:
    """Return objects in the order in which a cluster accepts them; the order within a kind stays the same."""
    return sorted(objects, key=lambda obj: ORDER.index(obj["kind"]) if obj["kind"] in ORDER else len(ORDER))
