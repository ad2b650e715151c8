"""RBAC: whether the user has every right that a deployment needs. The cluster itself answers that."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from slipway.cluster.api import Cluster

REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
# Until Kubernetes 1.35 a WebSocket to a pod's port is "get", and from then on "create".
OF_PODS = (("", "list"), ("", "watch"), ("log", "get"), ("portforward", "get"), ("portforward", "create"))
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


def needed(cluster: Cluster, objects: list[dict]) -> list[Right]:
    """Return every right that a deployment of these objects needs in its namespace."""
    return sorted({*_of_objects(cluster, objects), *_of_watching(), *_of_lease()})


def missing(cluster: Cluster, rights: list[Right]) -> list[Right]:
    """Return the rights that the user does not have."""
    with ThreadPoolExecutor(AT_ONCE) as asking:
        allowed = list(asking.map(lambda right: _is_allowed(cluster, right), rights))
    return [right for right, has in zip(rights, allowed, strict=True) if not has]


def _of_objects(cluster: Cluster, objects: list[dict]) -> Iterator[Right]:
    for found in objects:
        kind = cluster.kind(found["kind"], found["apiVersion"])
        # Server-side apply creates an object the first time, and patches it later.
        for verb in ("get", "create", "patch", "delete"):
            yield Right(kind.plural, verb, kind.group)
        if kind.name == "InferenceService":
            yield from (Right(kind.plural, verb, kind.group) for verb in ("list", "watch"))


def _of_watching() -> Iterator[Right]:
    for verb in ("list", "watch"):
        yield Right("deployments", verb, "apps")
        yield Right("replicasets", verb, "apps")
    yield from (Right("pods", verb, part=part) for part, verb in OF_PODS)
    yield Right("persistentvolumeclaims", "get")


def _of_lease() -> Iterator[Right]:
    yield from (Right("leases", verb, "coordination.k8s.io") for verb in ("get", "create", "update", "delete"))


def _is_allowed(cluster: Cluster, right: Right) -> bool:
    asked = {"namespace": cluster.namespace, "verb": right.verb, "group": right.group, "resource": right.resource}
    if right.part:
        asked["subresource"] = right.part
    review = cluster.create({**REVIEW, "metadata": {}, "spec": {"resourceAttributes": asked}})
    return review["status"].get("allowed", False)
