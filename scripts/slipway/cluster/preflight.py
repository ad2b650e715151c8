"""Preflight checks of a cluster before a deployment changes anything."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kubernetes_validate
import yaml

from slipway.cluster.api import Cluster
from slipway.cluster.api_errors import Forbidden
from slipway.cluster.api_resources import key, named
from slipway.cluster.scheduling_check import room
from slipway.cluster.transport import METADATA_ONLY, VERSION
from slipway.core.errors import SlipwayError
from slipway.manifests.validation import OLDEST

REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
# Number of simultaneous requests about rights. Each right needs one request.
AT_ONCE = 8
RIGHTS = Path(__file__).with_name("rights.yaml")


def check(cluster: Cluster, objects: list[dict], fleet: list[dict]) -> dict:
    """Check, without any change, that a cluster can run a deployment. Raises SlipwayError if the deployment would fail.

    `objects` are the objects to apply. `fleet` has the values of each target (a kind of GPU or CPU) in the manifests,
    such as "claim" and "replicas". Returns {"context", "namespace", "kubernetes", "verified", "not_verified"}:
    "kubernetes" is the cluster's version, and the last two are lists of sentences: the successful checks, and the facts
    that the user may not read.
    """
    kubernetes, *version = _version(cluster)
    findings = [
        version,
        _namespace(cluster),
        _rights(cluster, objects),
        *(_claim(cluster, name) for name in sorted({d["claim"] for d in fleet})),
        *(_secret(cluster, name) for name in sorted({name for d in fleet for name in d["image_pull_secrets"]})),
        room(cluster, objects, fleet),
        _dry_run(cluster, objects),
    ]
    return {
        "context": cluster.context,
        "namespace": cluster.namespace,
        "kubernetes": kubernetes,
        "verified": [sentence for verified, _ in findings for sentence in verified],
        "not_verified": [sentence for _, unsure in findings for sentence in unsure],
    }


def _version(cluster: Cluster) -> tuple[str, list[str], list[str]]:
    """Check that the cluster's Kubernetes is supported; return (its version, verified facts, unverified facts).

    The facts are sentences. Raises SlipwayError if the version is too old, or if the cluster does not state a version.
    """
    version = cluster.transport.send(VERSION).get("gitVersion", "")
    if not re.match(r"v?\d+\.\d+", version):
        raise SlipwayError(
            f"{cluster.context} does not state its Kubernetes version; correct `deploy.cluster.context` if it is no "
            "Kubernetes API"
        )
    newest = kubernetes_validate.latest_version()
    if _number(version) < _number(OLDEST):
        raise SlipwayError(
            f"{cluster.context} is Kubernetes {version}, but manifests are for {OLDEST} and later: upgrade it"
        )
    if _number(version) > _number(newest):
        return version, [], [f"whether Kubernetes {version} takes the manifests: they were validated up to {newest}"]
    return version, [f"Kubernetes {version} is between {OLDEST} and {newest}"], []


def _number(version: str) -> list[int]:
    """Return [major, minor] of a version such as "v1.29.3"."""
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


def _namespace(cluster: Cluster) -> tuple[list[str], list[str]]:
    name = cluster.namespace
    try:
        namespace = cluster.get(named("Namespace", name))
    except Forbidden:
        return [], [f"whether the namespace {name} is there: reading namespaces is forbidden"]
    if not namespace:
        raise SlipwayError(
            f"{cluster.context} has no namespace {name}: make it with `kubectl create namespace {name}`, or correct "
            "`deploy.cluster.namespace`"
        )
    if namespace.get("status", {}).get("phase") == "Terminating":
        raise SlipwayError(
            f"the namespace {name} in {cluster.context} is being deleted: wait until it is gone and make it again, or "
            "choose another as `deploy.cluster.namespace`"
        )
    return [f"the namespace {name} is there"], []


def _rights(cluster: Cluster, objects: list[dict]) -> tuple[list[str], list[str]]:
    """Check all rights that a deployment of `objects` needs; return (verified facts as sentences, []).

    Raises SlipwayError with all missing rights if a right is missing.
    """
    rights = _needed_rights(cluster, objects)
    if lacking := _missing_rights(cluster, rights):
        raise SlipwayError(
            f"{cluster.context} does not allow you in the namespace {cluster.namespace} to "
            f"{'; '.join(lacking)}. Ask those who run it for these rights; `kubectl auth can-i {lacking[0]} "
            f"--namespace {cluster.namespace}` says when you have one"
        )
    return [f"all {len(rights)} rights that are needed are there, and the cluster has every kind of object"], []


def _needed_rights(cluster: Cluster, objects: list[dict]) -> list[str]:
    """Return every right that a deployment of these objects needs in its namespace.

    A right is written as for `kubectl auth can-i`, such as "patch deployments.apps" or "get pods/log".
    """
    verbs_by_resource = yaml.safe_load(RIGHTS.read_text(encoding="utf-8"))
    of_object = verbs_by_resource.pop("of_object")
    kinds = [cluster.kind(obj["kind"], obj["apiVersion"]).resource for obj in objects]
    rights = {(resource, verb) for resource, verbs in verbs_by_resource.items() for verb in verbs}
    rights |= {(resource, verb) for resource in kinds for verb in of_object}
    return [f"{verb} {resource}" for resource, verb in sorted(rights)]


def _missing_rights(cluster: Cluster, rights: list[str]) -> list[str]:
    """Return those of `rights` that the user does not have, in the same form, such as "get pods/log"."""
    with ThreadPoolExecutor(AT_ONCE) as reviews:
        allowed = list(reviews.map(lambda right: _is_allowed(cluster, right), rights))
    return [right for right, has in zip(rights, allowed, strict=True) if not has]


def _is_allowed(cluster: Cluster, right: str) -> bool:
    verb, _, name = right.partition(" ")
    name, _, part = name.partition("/")
    resource, _, group = name.partition(".")
    attributes = {"namespace": cluster.namespace, "verb": verb, "group": group, "resource": resource}
    attributes |= {"subresource": part} if part else {}
    review = cluster.create({**REVIEW, "metadata": {}, "spec": {"resourceAttributes": attributes}})
    return review["status"].get("allowed", False)


def _claim(cluster: Cluster, name: str) -> tuple[list[str], list[str]]:
    claim = cluster.get(named("PersistentVolumeClaim", name))
    place = f"{cluster.namespace} in {cluster.context}"
    if not claim:
        raise SlipwayError(f"there is no claim {name} in {place}: make it, or correct `deploy.cluster.claim`")
    if "deletionTimestamp" in claim["metadata"]:
        raise SlipwayError(
            f"the claim {name} in {place} is being deleted, and no new pod may use it: make it again once nothing uses "
            "it any more, or correct `deploy.cluster.claim`"
        )
    phase = claim.get("status", {}).get("phase", "Unknown")
    if phase != "Bound":
        raise SlipwayError(
            f"the claim {name} in {place} is {phase}, not Bound: see `kubectl describe pvc {name} --namespace "
            f"{cluster.namespace}` for what its volume waits for"
        )
    return [f"the claim {name} is bound"], []


def _secret(cluster: Cluster, name: str) -> tuple[list[str], list[str]]:
    """Check that the secret `name` exists, without reading its content.

    Return (verified facts, unverified facts), both lists of sentences. Raises SlipwayError if the secret does not
    exist.
    """
    try:
        secret = cluster.get(named("Secret", name), METADATA_ONLY)
    except Forbidden:
        return [], [f"whether the secret {name} is there: reading secrets is forbidden"]
    if not secret:
        raise SlipwayError(
            f"there is no secret {name} in {cluster.namespace} in {cluster.context} to pull the image with: make it "
            f"with `kubectl create secret docker-registry {name}`, or correct `deploy.cluster.image_pull_secrets`"
        )
    return [f"the secret {name} is there"], []


def _dry_run(cluster: Cluster, objects: list[dict]) -> tuple[list[str], list[str]]:
    for obj in cluster.apply(objects, dry_run=True):
        name = f"{key(obj)} in {cluster.context}"
        if since := obj["metadata"].get("deletionTimestamp"):
            raise SlipwayError(f"{name} is being deleted since {since}: wait until it is gone. Nothing was changed")
        if obj["kind"] == "Deployment" and obj["spec"].get("paused"):
            raise SlipwayError(
                f"{name} is paused, so nothing would be rolled out: resume it with `kubectl rollout resume "
                f"deployment/{obj['metadata']['name']} --namespace {cluster.namespace}`. Nothing was changed"
            )
    return [f"the cluster takes all {len(objects)} objects (dry run)"], []
