"""Deploying to a Kubernetes cluster, as plain objects or as KServe's: applied, rolled out, proven through a tunnel."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from slipway.cluster import lease, preflight, rollout
from slipway.cluster.api import Cluster
from slipway.cluster.api_resources import SERVERS
from slipway.cluster.forwarding import forwarded
from slipway.cluster.managed_fields import set_fields
from slipway.core.errors import SlipwayError
from slipway.deploy.cluster_objects import (
    applicable,
    digest,
    key,
    labels_of,
    marks,
    readiness,
    reference,
    servers,
    told,
)
from slipway.deploy.platform import Known
from slipway.deploy.release import Release
from slipway.manifests import common, kserve
from slipway.triton.server.tritonserver import Ports

# Where Triton listens in its pod: HTTP, gRPC, metrics.
PORTS = (common.HTTP, common.GRPC, common.METRICS)
PORTS_OF_KSERVE = (kserve.HTTP, kserve.GRPC, common.METRICS)


class Kubernetes:
    """A namespace of a cluster, in which `app` is deployed; a rollout may take `patience_s`."""

    ports = PORTS

    def __init__(self, cluster: Cluster, app: str, patience_s: float) -> None:
        self.cluster = cluster
        self._app = app
        self._patience_s = patience_s
        self._held: lease.Held | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the model's lease in the cluster while the block runs."""
        with lease.alone(self.cluster, f"slipway-{self._app}") as self._held:
            yield

    def preflight(self, candidate: Release, known: Known) -> dict:
        """Return what the cluster has for it; raise SlipwayError on what it would not take, or when it is elsewhere."""
        self._require_this_place(candidate, known)
        return preflight.check(self.cluster, candidate.objects, candidate.fleet)

    def previous(self, candidate: Release, known: Known) -> dict:
        """Return {"objects": those that were there, "absent": those that were not}, of all that may be touched."""
        asked = {key(each): each for each in [*_objects_of(known), *candidate.objects]}
        found: dict[str, list[dict]] = {"objects": [], "absent": []}
        for name, each in asked.items():
            there = self._before(name, each, known)
            found["objects" if there else "absent"].append(there or reference(each))
        return found

    def start(self, candidate: Release, before: dict) -> None:
        """Apply every object."""
        self._apply(candidate.objects)

    def wait(self, candidate: Release) -> None:
        """Wait for the rollout on every target."""
        rollout.wait(self.cluster, candidate.objects, self._patience_s)

    @contextmanager
    def reach(self, candidate: Release) -> Iterator[dict[str, Ports]]:
        """Yield where a ready pod of each target is reached, through the API server."""
        with ExitStack() as tunnels:
            reached = {}
            for part, server in zip(candidate.parts, servers(candidate.objects), strict=True):
                local = tunnels.enter_context(forwarded(self.cluster, labels_of(server), self.ports))
                reached[part.target] = Ports(*(local[port] for port in self.ports))
            yield reached

    def finish(self, candidate: Release, before: dict) -> None:
        """Delete what the version before had and this one has not."""
        self.require_alone()
        wanted = {key(each) for each in candidate.objects}
        for each in before["objects"]:
            if key(each) not in wanted:
                self.cluster.delete(reference(each))

    def require_alone(self) -> None:
        """Raise SlipwayError when somebody else may be deploying by now."""
        if self._held:
            self._held.require()

    def go_back(self, candidate: Release, before: dict) -> str:
        """Apply what was there before, delete what was not, wait until that is rolled out.

        The API may have been what failed: a short outage is waited for.
        """
        self.cluster.transport.await_answer()
        self.require_alone()
        self._apply(before["objects"])
        for each in before["absent"]:
            self.cluster.delete(each)
        serving = servers(before["objects"])
        if not serving:
            return "Nothing of it was live before, and nothing of it is there now: what was created was removed."
        rollout.wait(self.cluster, before["objects"], self._patience_s)
        return f"What was live before was applied again and serves: {', '.join(map(told, serving))}."

    def place(self) -> dict:
        """Return the cluster's context, the namespace, and the model's name there."""
        return {"context": self.cluster.context, "namespace": self.cluster.namespace, "app": self._app}

    def contents(self, candidate: Release) -> dict:
        """Return every object by name, with the SHA-256 of what was applied."""
        return {"objects": [{**reference(each), "sha256": digest(each)} for each in candidate.objects]}

    def remove(self, contents: dict) -> list[str]:
        """Delete every object; what serves goes last, so that nobody is sent to what is gone."""
        last = sorted(contents["objects"], key=lambda each: each["kind"] in SERVERS)
        return [key(each) for each in last if self.cluster.delete(reference(each))]

    def describe(self, contents: dict) -> list[str]:
        """Return how each Deployment or InferenceService is doing, and what is no longer there."""
        lines = []
        for each in contents["objects"]:
            live = self.cluster.get(reference(each))
            if live is None:
                lines.append(f"  GONE       {key(each)} is not there any more; deploy again")
            elif each["kind"] in SERVERS:
                lines.append(f"  serves     {told(live)}, {readiness(live)}")
        return lines

    def _require_this_place(self, candidate: Release, known: Known) -> None:
        """Raise SlipwayError when the model is live, or was about to be, elsewhere: nothing would look there again."""
        here, model = self.place(), candidate.model
        there = known.live["place"] if known.live else here | (known.attempted.place if known.attempted else {})
        other_context = there["context"] != here["context"] and not self._serves(known.good)
        if there["namespace"] != here["namespace"] or other_context:
            receipt = candidate.folder / "deploy" / f"receipt.{candidate.to}.json"
            raise SlipwayError(
                f"{model} is in {_named(there)}, and would run on there, unseen, beside the one in {_named(here)}: "
                "take it away with `snakemake --cores 1 undeploy` first, or set `deploy.cluster` as it was; if that "
                f"place is no more, remove {receipt}. Nothing was changed"
            )
        if candidate.place["namespace"] != self.cluster.namespace:
            raise SlipwayError(
                f"the version of {model} to go back to is one for the namespace {candidate.place['namespace']}, but "
                f"{model} is live in {_named(here)}: deploy what is wanted there. Nothing was changed"
            )

    def _serves(self, version: Release | None) -> bool:
        """Say whether a version is what is here, as where a kubeconfig only calls the cluster otherwise."""
        wanted = servers(version.objects) if version else []
        live = [self.cluster.get(reference(each)) for each in wanted]
        return bool(wanted) and all(
            there and marks(there) == marks(each) for there, each in zip(live, wanted, strict=True)
        )

    def _apply(self, objects: list[dict]) -> None:
        self.cluster.apply([self._counted(each) for each in objects])

    def _counted(self, found: dict) -> dict:
        """Return a Deployment that an autoscaler counts with the replicas that it has, if those were Slipway's to set.

        A number that was set and then is left out becomes one, and only the autoscaler's next round would add to it.
        """
        if found["kind"] != "Deployment" or "replicas" in found["spec"]:
            return found
        live = self.cluster.get(reference(found))
        ours = set_fields(live).get("spec", {}) if live else {}
        counted = {"replicas": ours["replicas"]} if "replicas" in ours else {}
        return {**found, "spec": found["spec"] | counted}

    def _before(self, name: str, asked: dict, known: Known) -> dict | None:
        """Return what to go back to for one object, None where that is that there is none."""
        live = self.cluster.get(reference(asked))
        if live is None:
            return None
        good, attempted = _by_key(known.good), _by_key(known.attempted)
        if name in good and marks(live) == marks(good[name]):
            return good[name]
        if name in attempted and marks(live) == marks(attempted[name]):
            return {key(each): each for each in known.left["objects"]}.get(name)
        return applicable(live)


class KServe(Kubernetes):
    """The same, where KServe makes the pods of an InferenceService."""

    ports = PORTS_OF_KSERVE


def _named(place: dict) -> str:
    """Return a place in words."""
    return f"the namespace {place['namespace']} of {place['context']}"


def _objects_of(known: Known) -> list[dict]:
    """Return every object that an earlier deployment may have left."""
    left = [*known.left["objects"], *known.left["absent"]] if known.left else []
    kept = [each for version in (known.good, known.attempted) if version for each in version.objects]
    return [*(known.live["contents"]["objects"] if known.live else []), *left, *kept]


def _by_key(candidate: Release | None) -> dict[str, dict]:
    """Return a candidate's objects by what names them."""
    return {key(each): each for each in candidate.objects} if candidate else {}
