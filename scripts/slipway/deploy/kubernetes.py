"""Deploying to Kubernetes, plain or KServe: apply the objects, watch the rollout, prove the release by port-forward.

A release is the manifests and reference outputs of one model. It is proven when each target's server has answered the
reference request correctly.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from slipway.cluster import lease, preflight, rollout
from slipway.cluster.api import Cluster
from slipway.cluster.api_resources import MARK, SERVERS, is_ready, key, labels_of, provenance, servers
from slipway.cluster.forwarding import forwarded
from slipway.cluster.managed_fields import set_fields
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.container_platform import ContainerPlatform, require_deployable
from slipway.deploy.release import Release
from slipway.deploy.release_history import DeploymentState
from slipway.manifests import pod_ports
from slipway.triton.client.ports import Ports

# Fields that the cluster adds to an object. Nobody may apply them.
ADDED = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
ADDED_NOTES = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


class Kubernetes(ContainerPlatform):
    """The platform `kubernetes`: a namespace of a cluster. `app` is the model's name in the namespace.

    `patience_s` is the timeout of a rollout, in seconds.
    """

    ports = (pod_ports.HTTP, pod_ports.GRPC, pod_ports.METRICS)  # Triton's ports in its pod

    def __init__(self, cluster: Cluster, app: str, patience_s: float) -> None:
        self.cluster = cluster
        self._app = app
        self._patience_s = patience_s
        self._held: lease.HeldLease | None = None

    @classmethod
    def at(cls, receipt: dict, folder: Path, options: argparse.Namespace) -> "Kubernetes":
        """Return the platform in the namespace to which a model was deployed.

        `receipt` is the record of the deployment, or only its entry {"place": {"namespace", "app", and perhaps
        "context"}}. Without "context", the kubeconfig's context is `options.context`, and None means the current
        context. `folder` is not used.
        """
        place = receipt["place"]
        cluster = Cluster.connect(place["namespace"], place.get("context", options.context))
        return cls(cluster, place["app"], pod_ports.PULL_S + options.ready_timeout_s)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Context manager: hold the model's lease in the cluster, so that no other machine deploys the model meanwhile.

        Raises SlipwayError if somebody else has the lease.
        """
        with lease.hold(self.cluster, f"slipway-{self._app}") as self._held:
            yield

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Check, without any change, that the cluster can run a release.

        Returns {"context", "namespace", "kubernetes", "verified", "not_verified"}: "kubernetes" is the cluster's
        version, and the last two are lists of sentences. `state` is the recorded state of earlier deployments. Raises
        SlipwayError if a check fails, or if the model is live in another namespace or cluster.
        """
        require_deployable(release)
        self._require_this_place(release, state)
        return preflight.check(self.cluster, release.objects, [part.values for part in release.parts])

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the objects before the deployment, for `restore`: {"objects": a list, "absent": a list of references}.

        `restore` applies "objects", and deletes "absent": objects that do not exist yet. If somebody deleted objects of
        the live release, "objects" has these too, so that this release is complete after a failed deployment. `state`
        is the recorded state of earlier deployments.
        """
        affected = {key(obj): obj for obj in [*_objects_of(state), *release.objects]}
        earlier = {name: self._object_to_restore(obj, state) for name, obj in affected.items()}
        if state.live and (deleted := self._deleted(state.live, earlier)):
            progress(f"  {', '.join(deleted)} of the live version was deleted; going back would make it again")
            earlier |= deleted
        absent = [reference(obj) for name, obj in affected.items() if earlier[name] is None]
        return {"objects": [obj for obj in earlier.values() if obj], "absent": absent}

    def start(self, release: Release, snapshot: dict) -> None:
        """Apply every object of a release, and wait until the servers on all targets are ready.

        `snapshot` is not used. Raises SlipwayError if the rollout fails.
        """
        self._apply(release.objects)
        rollout.wait(self.cluster, release.objects, self._patience_s)

    @contextmanager
    def reach(self, release: Release) -> Iterator[dict[str, Ports]]:
        """Context manager: yield {target: local ports}, by which this machine reaches each target's new server.

        For the block, the API server forwards these ports to a ready pod of each target.
        """
        with ExitStack() as tunnels:
            reached = {}
            for part, server in zip(release.parts, servers(release.objects), strict=True):
                local = tunnels.enter_context(forwarded(self.cluster, labels_of(server), self.ports))
                http, grpc, metrics = (local[port] for port in self.ports)
                reached[part.target] = Ports(http, grpc, metrics)
            yield reached

    def finish(self, release: Release, snapshot: dict) -> None:
        """Delete the objects of the previous version that the new version does not have.

        They are the entries "objects" of `snapshot`, the state before the deployment.
        """
        self.require_lock()
        wanted = {key(obj) for obj in release.objects}
        for obj in snapshot["objects"]:
            if key(obj) not in wanted:
                self.cluster.delete(reference(obj))

    def require_lock(self) -> None:
        """Raise SlipwayError if the lock was lost: somebody else may be deploying by now."""
        if self._held:
            self._held.require()

    def restore(self, release: Release, snapshot: dict) -> str:
        """After a failed deployment, apply the earlier objects, and delete the new objects.

        Wait until the earlier servers are ready, and return a sentence on the version that serves now. `snapshot` is
        the result of the method `snapshot`. First wait until the API answers: an outage of the API may have caused the
        failure.
        """
        self.cluster.transport.await_answer()
        self.require_lock()
        self._apply(snapshot["objects"])
        for obj in snapshot["absent"]:
            self.cluster.delete(obj)
        if not (serving := servers(snapshot["objects"])):
            return "Nothing of it was live before. What was created was removed."
        rollout.wait(self.cluster, snapshot["objects"], self._patience_s)
        return f"What was live before was applied again and serves: {', '.join(map(summary, serving))}."

    def place(self) -> dict:
        """Return {"context", "namespace", "app"}, by which `at` finds this platform again.

        "app" is the model's name there.
        """
        return {"context": self.cluster.context, "namespace": self.cluster.namespace, "app": self._app}

    def contents(self, release: Release) -> dict:
        """Return the entries of a receipt by which `remove` and `describe` find the release: {"objects": references}.

        Each reference is the result of the function `reference`.
        """
        return {"objects": list(map(reference, release.objects))}

    def remove(self, contents: list[dict]) -> list[str]:
        """Delete the objects of earlier deployments; return "kind name" of each deleted object.

        `contents` are the entries "contents" of receipts, as the method `contents` returns. Deployments and
        InferenceServices are deleted last, so that no Service sends a request to a deleted server.
        """
        objects = [obj for entry in contents for obj in entry["objects"]]
        last = sorted(objects, key=lambda obj: obj["kind"] in SERVERS)
        return [key(obj) for obj in last if self.cluster.delete(reference(obj))]

    def describe(self, receipt: dict) -> list[str]:
        """Return lines of text on a deployed model, for the command `status`, from the receipt of its deployment.

        They state the readiness of each Deployment or InferenceService, and the name of each missing object.
        """
        lines = []
        for obj in receipt["contents"]["objects"]:
            if (live := self.cluster.get(reference(obj))) is None:
                lines.append(f"  GONE       {key(obj)} is not there any more; deploy again")
            elif obj["kind"] in SERVERS:
                lines.append(f"  serves     {summary(live)}, {readiness(live)}")
        return lines

    def _require_this_place(self, release: Release, state: DeploymentState) -> None:
        """Raise SlipwayError if the model would run in two places, or if `release` is for another namespace.

        It would run in two places if it is live in another namespace or cluster.
        """
        here, model = self.place(), release.model
        there = state.receipt["place"] if state.receipt else here | (state.attempted.place if state.attempted else {})
        other_context = there["context"] != here["context"] and not self._serves(state.live)
        if there["namespace"] != here["namespace"] or other_context:
            receipt = release.folder / "deploy" / f"receipt.{release.to}.json"
            raise SlipwayError(
                f"{model} is in {_named(there)}, and would go on running there beside the one in {_named(here)}: "
                "take it away with `snakemake --cores 1 undeploy` first, or set `deploy.cluster` as it was; if that "
                f"place is no more, remove {receipt}. Nothing was changed"
            )
        if release.place["namespace"] != self.cluster.namespace:
            raise SlipwayError(
                f"the version of {model} to go back to is one for the namespace {release.place['namespace']}, but "
                f"{model} is live in {_named(here)}: deploy what is wanted there. Nothing was changed"
            )

    def _serves(self, version: Release | None) -> bool:
        """Say whether all servers of the release `version` are live in this cluster; False if it is None.

        The context's name is not compared, since a context may be renamed.
        """
        wanted = servers(version.objects) if version else []
        return bool(wanted) and all(_as_applied(version, self.cluster.get(reference(obj))) for obj in wanted)

    def _apply(self, objects: list[dict]) -> None:
        self.cluster.apply([self._counted(obj) for obj in objects])

    def _counted(self, wanted: dict) -> dict:
        """Return the object to apply: an autoscaled Deployment keeps its live number of replicas if Slipway had set it.

        The manifest of such a Deployment has no number. Without one, the replicas would fall to 1 until the
        autoscaler's next round.
        """
        if wanted["kind"] != "Deployment" or "replicas" in wanted["spec"]:
            return wanted
        live = self.cluster.get(reference(wanted))
        ours = set_fields(live).get("spec", {}) if live else {}
        counted = {"replicas": ours["replicas"]} if "replicas" in ours else {}
        return {**wanted, "spec": wanted["spec"] | counted}

    def _deleted(self, live: Release, earlier: dict[str, dict | None]) -> dict[str, dict]:
        """Return {"kind name": object} of the live release's objects that somebody deleted from the cluster.

        They are None in `earlier`, {"kind name": object to restore, or None if it does not exist}. An object is left
        out if its kind was uninstalled from the cluster, since it cannot be applied.
        """
        missing = {key(obj): obj for obj in live.objects if earlier[key(obj)] is None}
        return {name: obj for name, obj in missing.items() if self.cluster.has_kind(obj["kind"], obj["apiVersion"])}

    def _object_to_restore(self, wanted: dict, state: DeploymentState) -> dict | None:
        """Return the form of an object that `restore` applies again; None if it did not exist before the deployment.

        `wanted` has the object's kind and name. If an interrupted deployment changed the object, return the form before
        this deployment.
        """
        live = self.cluster.get(reference(wanted))
        if proven := _as_applied(state.live, live):
            return proven
        if _as_applied(state.attempted, live):
            return next((obj for obj in state.baseline["objects"] if key(obj) == key(wanted)), None)
        return applicable(live) if live else None


class KServe(Kubernetes):
    """The platform `kserve`: a namespace of a cluster, in which KServe makes the pods of each InferenceService."""

    ports = (pod_ports.KSERVE_HTTP, pod_ports.KSERVE_GRPC, pod_ports.METRICS)


def reference(obj: dict) -> dict:
    """Return the part of an object that suffices to get or delete it in a cluster.

    It is {"apiVersion", "kind", "metadata": {"name", "namespace"}}; "namespace" only if the object states one.
    """
    metadata = {name: value for name, value in obj["metadata"].items() if name in ("name", "namespace")}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}


def applicable(live: dict) -> dict:
    """Return a live object in a form that can be applied again, from the object as the API returns it.

    The form has only fields that somebody set, and no field that the cluster added, such as "resourceVersion".
    """
    live = set_fields(live)
    metadata = {name: value for name, value in live["metadata"].items() if name not in ADDED}
    notes = {name: value for name, value in (metadata.get("annotations") or {}).items() if name not in ADDED_NOTES}
    spec = {name: value for name, value in live.items() if name != "status"}
    return spec | {"metadata": metadata | ({"annotations": notes} if notes else {})}


def summary(server: dict) -> str:
    """Return text with the name of a Deployment or InferenceService and with the model repository that it serves.

    The repository is given by 12 digits of the SHA-256 of its index, the list of its files.
    """
    index = provenance(server).get(f"{MARK}repository-index", "sha256:unknown").partition(":")[2]
    return f"{key(server)} (repository {index[:12]})"


def readiness(live: dict) -> str:
    """Return text: "1 of 2 pods ready" for a live Deployment, "ready" or "NOT READY" for a live InferenceService."""
    status = live.get("status") or {}
    if live["kind"] == "InferenceService":
        return "ready" if is_ready(live) else "NOT READY"
    wanted = (live.get("spec") or {}).get("replicas", 1)
    return f"{status.get('readyReplicas', 0)} of {wanted} pods ready"


def _named(place: dict) -> str:
    """Return text with the namespace and the context in `place`, the result of `Kubernetes.place`."""
    return f"the namespace {place['namespace']} of {place['context']}"


def _objects_of(state: DeploymentState) -> list[dict]:
    """Return every object that an earlier deployment of the model may have created, as a whole object or a reference.

    They come from the receipt, the stored releases, and the snapshot before an interrupted deployment.
    """
    baseline = [*state.baseline["objects"], *state.baseline["absent"]] if state.baseline else []
    stored = [obj for version in (state.live, state.attempted) if version for obj in version.objects]
    return [*(state.receipt["contents"]["objects"] if state.receipt else []), *baseline, *stored]


def _as_applied(release: Release | None, live: dict | None) -> dict | None:
    """Return the object of `release` from which the object `live` was applied; None if `live` has another origin.

    Both have the same kind, name and provenance, the annotations with the SHA-256 of the artifacts. The result is None
    also if `release` or `live` is None.
    """
    if release is None or live is None:
        return None
    same = (obj for obj in release.objects if key(obj) == key(live) and provenance(obj) == provenance(live))
    return next(same, None)
