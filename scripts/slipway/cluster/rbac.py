"""RBAC: whether the user has every right that a deployment needs. The cluster itself answers that."""

from concurrent.futures import ThreadPoolExecutor

from slipway.cluster.api import Cluster

REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
# Number of simultaneous requests: there is one for each verb and kind.
AT_ONCE = 8


# The rights to follow a rollout, to reach the pods, and to hold the lease: {resource: verbs}.
ALWAYS = {
    "deployments.apps": ("get", "list"),
    "replicasets.apps": ("list",),
    "pods": ("list",),
    "pods/log": ("get",),
    # Until Kubernetes 1.35 a WebSocket to a pod's port is "get", and from then on "create".
    "pods/portforward": ("get", "create"),
    "persistentvolumeclaims": ("get",),
    "leases.coordination.k8s.io": ("get", "create", "update", "delete"),
}
# Server-side apply creates an object the first time, and patches it later.
OF_OBJECT = ("get", "create", "patch", "delete")


def needed(cluster: Cluster, objects: list[dict]) -> list[str]:
    """Return every right that a deployment of these objects needs in its namespace.

    A right is written as for `kubectl auth can-i`, such as "patch deployments.apps" or "get pods/log".
    """
    rights = {(resource, verb) for resource, verbs in ALWAYS.items() for verb in verbs}
    for obj in objects:
        kind = cluster.kind(obj["kind"], obj["apiVersion"])
        rights |= {(kind.resource, verb) for verb in OF_OBJECT}
    return [f"{verb} {resource}" for resource, verb in sorted(rights)]


def missing(cluster: Cluster, rights: list[str]) -> list[str]:
    """Return the rights that the user does not have."""
    with ThreadPoolExecutor(AT_ONCE) as asking:
        allowed = list(asking.map(lambda right: _is_allowed(cluster, right), rights))
    return [right for right, has in zip(rights, allowed, strict=True) if not has]


def _is_allowed(cluster: Cluster, right: str) -> bool:
    verb, _, name = right.partition(" ")
    name, _, part = name.partition("/")
    resource, _, group = name.partition(".")
    asked = {"namespace": cluster.namespace, "verb": verb, "group": group, "resource": resource}
    asked |= {"subresource": part} if part else {}
    review = cluster.create({**REVIEW, "metadata": {}, "spec": {"resourceAttributes": asked}})
    return review["status"].get("allowed", False)
