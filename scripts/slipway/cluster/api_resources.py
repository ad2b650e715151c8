"""Where a kind of object lies in a cluster's API, asked of the cluster itself, and in which order objects are made."""

from dataclasses import dataclass
from typing import Any

# What others refer to comes first, as with `kubectl apply` of tools that sort; other kinds come after these.
ORDER = ("Namespace", "ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy", "Service")
ORDER += ("ServingRuntime", "Deployment", "InferenceService", "PodDisruptionBudget", "HorizontalPodAutoscaler")
# What runs servers, and is rolled out.
SERVERS = ("Deployment", "InferenceService")


@dataclass(frozen=True)
class Kind:
    """A kind as the API has it: "Deployment", "apps/v1", "deployments", and whether it lies in a namespace."""

    name: str
    api_version: str
    plural: str
    namespaced: bool

    @property
    def group(self) -> str:
        """Return the API group, which is "" for those of the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """Return the resource as `kubectl` and messages of the API name it, such as "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of an object, or without a name that of all of the kind."""
        parts = [root(self.api_version)]
        parts += ["namespaces", namespace] if self.namespaced and namespace else []
        return "/".join([*parts, self.plural, *([name] if name else [])])


def root(api_version: str) -> str:
    """Return the path below which a version of a group lies."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def kinds_of(listed: dict[str, Any], api_version: str) -> dict[str, Kind]:
    """Return what an APIResourceList names, without what is only a part of an object, such as its status."""
    return {
        each["kind"]: Kind(each["kind"], api_version, each["name"], each["namespaced"])
        for each in listed["resources"]
        if "/" not in each["name"]
    }


def in_order(objects: list[dict]) -> list[dict]:
    """Return objects in an order in which a cluster takes them; those of one kind stay as they are."""
    return sorted(objects, key=lambda found: ORDER.index(found["kind"]) if found["kind"] in ORDER else len(ORDER))
