"""RBAC: whether the user has every right that a deployment needs. The cluster itself answers that."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from slipway.cluster.api import Cluster

REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
# Number of simultaneous requests: there is one for each verb and kind.
AT_ONCE = 8


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource, such as "patch" on "deployments" of the group "apps", or on a part of it."""

    resource: str
    verb: str
    group: str = ""
    part: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {name}/{self.part}" if self.part else f"{self.verb} {name}"


# The rights to watch a rollout, to reach the pods, and to hold the lease.
ALWAYS = {
    *(Right(resource, verb, "apps") for resource in ("deployments", "replicasets") for verb in ("list", "watch")),
    *(Right("pods", verb) for verb in ("list", "watch")),
    Right("pods", "get", part="log"),
    # Until Kubernetes 1.35 a WebSocket to a pod's port is "get", and from then on "create".
    *(Right("pods", verb, part="portforward") for verb in ("get", "create")),
    Right("persistentvolumeclaims", "get"),
    *(Right("leases", verb, "coordination.k8s.io") for verb in ("get", "create", "update", "delete")),
}
# Server-side apply creates an object the first time, and patches it later.
OF_OBJECT = ("get", "create", "patch", "delete")


def needed(cluster: Cluster, objects: list[dict]) -> list[Right]:
    """Return every right that a deployment of these objects needs in its namespace."""
    rights = set(ALWAYS)
    for found in objects:
        kind = cluster.kind(found["kind"], found["apiVersion"])
        verbs = (*OF_OBJECT, "list", "watch") if kind.name == "InferenceService" else OF_OBJECT
        rights |= {Right(kind.plural, verb, kind.group) for verb in verbs}
    return sorted(rights)


def missing(cluster: Cluster, rights: list[Right]) -> list[Right]:
    """Return the rights that the user does not have."""
    with ThreadPoolExecutor(AT_ONCE) as asking:
        allowed = list(asking.map(lambda right: _is_allowed(cluster, right), rights))
    return [right for right, has in zip(rights, allowed, strict=True) if not has]


def _is_allowed(cluster: Cluster, right: Right) -> bool:
    asked = {"namespace": cluster.namespace, "verb": right.verb, "group": right.group, "resource": right.resource}
    if right.part:
        asked["subresource"] = right.part
    review = cluster.create({**REVIEW, "metadata": {}, "spec": {"resourceAttributes": asked}})
    return review["status"].get("allowed", False)
