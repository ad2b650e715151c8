"""Deploying to Kubernetes, plain or KServe: apply the objects, watch the rollout, prove the release by port-forward."""

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
        """Return the platform in the namespace of a receipt.

        The context comes from the receipt, else from `options`, else it is the current context of the kubeconfig.
        """
        place = receipt["place"]
        cluster = Cluster.connect(place["namespace"], place.get("context", options.context))
        return cls(cluster, place["app"], pod_ports.PULL_S + options.ready_timeout_s)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the model's lease in the cluster while the block runs; raise SlipwayError if the lease is not free."""
        with lease.hold(self.cluster, f"slipway-{self._app}") as self._held:
            yield

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Return {"context", "namespace", "kubernetes", "verified", "not_verified"}.

        "kubernetes" is the cluster's version. "verified" and "not_verified" are lists of sentences.
        Raises SlipwayError if a check fails, or if the model is live in another namespace or cluster.
        """
        require_deployable(release)
        self._require_this_place(release, state)
        return preflight.check(self.cluster, release.objects, [part.values for part in release.parts])

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return {"objects", "absent"}: the objects that `restore` applies, and references to objects to delete.

        "objects" also has the objects of the live release that somebody deleted, so that this release is live as a
        whole after a failed deployment.
        """
        affected = {key(obj): obj for obj in [*_objects_of(state), *release.objects]}
        earlier = {name: self._object_to_restore(obj, state) for name, obj in affected.items()}
        if state.live and (deleted := self._deleted(state.live, earlier)):
            progress(f"  {', '.join(deleted)} of the live version was deleted; going back would make it again")
            earlier |= deleted
        absent = [reference(obj) for name, obj in affected.items() if earlier[name] is None]
        return {"objects": [obj for obj in earlier.values() if obj], "absent": absent}

    def start(self, release: Release, snapshot: dict) -> None:
        """Apply every object, and wait for the rollout on every target; raise SlipwayError if the rollout fails."""
        self._apply(release.objects)
        rollout.wait(self.cluster, release.objects, self._patience_s)

    @contextmanager
    def reach(self, release: Release) -> Iterator[dict[str, Ports]]:
        """Yield {target: local ports}. The API server forwards these ports to a ready pod of each target."""
        with ExitStack() as tunnels:
            reached = {}
            for part, server in zip(release.parts, servers(release.objects), strict=True):
                local = tunnels.enter_context(forwarded(self.cluster, labels_of(server), self.ports))
                http, grpc, metrics = (local[port] for port in self.ports)
                reached[part.target] = Ports(http, grpc, metrics)
            yield reached

    def finish(self, release: Release, snapshot: dict) -> None:
        """Delete the objects of the previous version that the new version does not have."""
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
        """Apply the earlier objects, delete the new objects, and wait for the rollout. Return a sentence on the result.

        First wait until the API answers: an outage of the API may have caused the failure of the new release.
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
        """Return {"context", "namespace", "app": the model's name in the cluster}."""
        return {"context": self.cluster.context, "namespace": self.cluster.namespace, "app": self._app}

    def contents(self, release: Release) -> dict:
        """Return the entries of a receipt: {"objects": a reference to each object of the release}."""
        return {"objects": list(map(reference, release.objects))}

    def remove(self, contents: list[dict]) -> list[str]:
        """Delete the objects in the contents of receipts; return "kind name" of each deleted object.

        Deployments and InferenceServices are deleted last, so that no Service sends a request to a deleted server.
        """
        objects = [obj for entry in contents for obj in entry["objects"]]
        last = sorted(objects, key=lambda obj: obj["kind"] in SERVERS)
        return [key(obj) for obj in last if self.cluster.delete(reference(obj))]

    def describe(self, receipt: dict) -> list[str]:
        """Return lines: the readiness of each Deployment or InferenceService, and the name of each missing object."""
        lines = []
        for obj in receipt["contents"]["objects"]:
            if (live := self.cluster.get(reference(obj))) is None:
                lines.append(f"  GONE       {key(obj)} is not there any more; deploy again")
            elif obj["kind"] in SERVERS:
                lines.append(f"  serves     {summary(live)}, {readiness(live)}")
        return lines

    def _require_this_place(self, release: Release, state: DeploymentState) -> None:
        """Raise SlipwayError if the model is in another namespace or cluster, or `release` is for another namespace."""
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
        """Say whether all servers of a version are live in this cluster. The context's name is not compared."""
        wanted = servers(version.objects) if version else []
        return bool(wanted) and all(_as_applied(version, self.cluster.get(reference(obj))) for obj in wanted)

    def _apply(self, objects: list[dict]) -> None:
        self.cluster.apply([self._counted(obj) for obj in objects])

    def _counted(self, wanted: dict) -> dict:
        """Return the object to apply. An autoscaled Deployment keeps its live number of replicas if Slipway had set it.

        Without this number, the replicas would fall to 1 until the autoscaler's next round.
        """
        if wanted["kind"] != "Deployment" or "replicas" in wanted["spec"]:
            return wanted
        live = self.cluster.get(reference(wanted))
        ours = set_fields(live).get("spec", {}) if live else {}
        counted = {"replicas": ours["replicas"]} if "replicas" in ours else {}
        return {**wanted, "spec": wanted["spec"] | counted}

    def _deleted(self, live: Release, earlier: dict[str, dict | None]) -> dict[str, dict]:
        """Return {"kind name": object} of a live release's objects that are None in `earlier`, the objects to restore.

        A kind that was uninstalled from the cluster is left out, since its objects cannot be applied.
        """
        missing = {key(obj): obj for obj in live.objects if earlier[key(obj)] is None}
        return {name: obj for name, obj in missing.items() if self.cluster.has_kind(obj["kind"], obj["apiVersion"])}

    def _object_to_restore(self, wanted: dict, state: DeploymentState) -> dict | None:
        """Return the object in its present form, which `restore` applies again; None if the object does not exist.

        If an interrupted rollout changed the object, return the object from before this rollout.
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
    """Return {"apiVersion", "kind", "metadata": {"name", "namespace"}}, which suffice to get or delete an object."""
    metadata = {name: value for name, value in obj["metadata"].items() if name in ("name", "namespace")}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}


def applicable(live: dict) -> dict:
    """Return a live object in a form to apply again: only fields that somebody set, no field that the cluster added."""
    live = set_fields(live)
    metadata = {name: value for name, value in live["metadata"].items() if name not in ADDED}
    notes = {name: value for name, value in (metadata.get("annotations") or {}).items() if name not in ADDED_NOTES}
    spec = {name: value for name, value in live.items() if name != "status"}
    return spec | {"metadata": metadata | ({"annotations": notes} if notes else {})}


def summary(server: dict) -> str:
    """Return text: name of a Deployment or InferenceService, and 12 digits of the SHA-256 of its repository's index."""
    index = provenance(server).get(f"{MARK}repository-index", "sha256:unknown").partition(":")[2]
    return f"{key(server)} (repository {index[:12]})"


def readiness(live: dict) -> str:
    """Return text: "1 of 2 pods ready" for a Deployment, "ready" or "NOT READY" for an InferenceService."""
    status = live.get("status") or {}
    if live["kind"] == "InferenceService":
        return "ready" if is_ready(live) else "NOT READY"
    wanted = (live.get("spec") or {}).get("replicas", 1)
    return f"{status.get('readyReplicas', 0)} of {wanted} pods ready"


def _named(place: dict) -> str:
    """Return text with the namespace and the context in the "place" of a receipt."""
    return f"the namespace {place['namespace']} of {place['context']}"


def _objects_of(state: DeploymentState) -> list[dict]:
    """Return every object, or a reference to it, that an earlier deployment may have created."""
    baseline = [*state.baseline["objects"], *state.baseline["absent"]] if state.baseline else []
    stored = [obj for version in (state.live, state.attempted) if version for obj in version.objects]
    return [*(state.receipt["contents"]["objects"] if state.receipt else []), *baseline, *stored]


def _as_applied(release: Release | None, live: dict | None) -> dict | None:
    """Return the object of `release` with the kind, name and provenance of the object `live`; None without a match."""
    if release is None or live is None:
        return None
    same = (obj for obj in release.objects if key(obj) == key(live) and provenance(obj) == provenance(live))
    return next(same, None)
