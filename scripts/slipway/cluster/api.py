"""A namespace of a Kubernetes cluster: apply, read and delete objects, with errors in plain sentences."""

from contextlib import suppress
from typing import Any

from slipway.cluster.api_errors import NotFound, Request
from slipway.cluster.api_resources import Kind, in_order, key, kinds_of, named, root, selector
from slipway.cluster.kubeconfig import connected
from slipway.cluster.transport import JSON, Transport
from slipway.core.errors import SlipwayError

# The field manager that the cluster records.
FIELD_MANAGER = "slipway"
# API groups of software that must be installed first, and the advice if it is not.
INSTALLED = {
    "monitoring.coreos.com": "install the Prometheus Operator, or set `deploy.cluster.prometheus_operator: false`",
    "serving.kserve.io": "install KServe, or deploy to `kubernetes`",
}


class Cluster:
    """A namespace of a cluster, with the user's own rights. `context` is the cluster's name in the kubeconfig."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self.transport, self.context = transport, transport.context
        self.namespace = namespace
        self._kinds: dict[str, dict[str, Kind]] = {}

    @classmethod
    def connect(cls, namespace: str, context: str | None = None, timeout_s: float = 30) -> "Cluster":
        """Return the namespace `namespace` of a cluster: of the user's kubeconfig, or without a kubeconfig of this pod.

        `context` is a context of the kubeconfig; None means the current context. `timeout_s` limits each request. No
        request is sent yet. Raises SlipwayError if there is neither a kubeconfig nor a pod, or if the kubeconfig lacks
        the context.
        """
        return cls(Transport(*connected(context), timeout_s), namespace)

    def apply(self, objects: list[dict], dry_run: bool = False) -> list[dict]:
        """Create or change objects by server-side apply; return the live objects. With `dry_run`, nothing is stored.

        `objects` are objects of the manifests. Raises SlipwayError at the first refused object. The message names the
        objects that were applied before.
        """
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        applied: list[dict] = []
        for wanted in in_order(objects):
            try:
                applied.append(self.transport.send(self.request("patch", wanted), query=query, body=wanted))
            except SlipwayError as error:
                before = "" if dry_run else ", ".join(map(key, applied))
                error.args = (f"{error}. {f'Applied before it: {before}' if before else 'Nothing was changed'}",)
                raise
        return applied

    def get(self, obj: dict, accept: str = JSON) -> dict | None:
        """Return the live object with the kind and name of `obj`; None if the object or its kind does not exist.

        `accept` is the content type of the answer, such as METADATA_ONLY for a secret without its content.
        """
        with suppress(NotFound):
            return self.transport.send(self.request("get", obj), accept=accept)
        return None

    def delete(self, obj: dict, unchanged: bool = False) -> bool:
        """Delete the object with the kind and name of `obj`, then its dependents. Return whether the object existed.

        With `unchanged`, raise Conflict if the live object does not have the resourceVersion of `obj` any more.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if unchanged:
            options["preconditions"] = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        with suppress(NotFound):
            self.transport.send(self.request("delete", obj), body=options)
            return True
        return False

    def create(self, obj: dict) -> dict:
        """Create an object, and return the live object. Raise Conflict if the object exists already."""
        return self.transport.send(self.request("create", obj), body=obj)

    def replace(self, obj: dict) -> dict:
        """Replace the live object by `obj`, and return the new live object.

        Raises Conflict if the live object does not have the resourceVersion of `obj` any more.
        """
        return self.transport.send(self.request("update", obj), body=obj)

    def log(self, pod: str, container: str, lines: int, previous: bool = False) -> str:
        """Return the last `lines` lines of the log of a container in the pod `pod`.

        With `previous`, they are of the log before the container's last restart.
        """
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        return self.transport.send(self.request("get", named("Pod", pod), "log"), query=query, accept="*/*")

    def kind(self, kind: str, api_version: str) -> Kind:
        """Return the API resource of a kind, such as "PodMonitor" of the API version "monitoring.coreos.com/v1".

        Raises NotFound with advice if the cluster does not have the kind.
        """
        known = self._kinds.get(api_version, {})  # several threads may ask at the same time
        if kind not in known:
            request = Request(root(api_version), resource=f"the kinds of {api_version}")
            with suppress(NotFound):
                known = kinds_of(self.transport.send(request), api_version)
            self._kinds[api_version] = known
        if kind not in known:
            advice = INSTALLED.get(api_version.partition("/")[0], "this version of Kubernetes does not have it")
            raise NotFound(f"{self.context} has no {kind} of {api_version}: {advice}")
        return known[kind]

    def has_kind(self, kind: str, api_version: str) -> bool:
        """Say whether the cluster has a kind of objects, such as "PodMonitor" of "monitoring.coreos.com/v1"."""
        with suppress(NotFound):
            return bool(self.kind(kind, api_version))
        return False

    def request(self, verb: str, obj: dict, part: str = "") -> Request:
        """Return the request that does `verb`, such as "get", with an object or with its part such as "log".

        `obj` has the kind and the name of the object; without a name, the request is for all objects of the kind. If it
        states no namespace, the namespace of this Cluster is used. The namespace None means all namespaces.
        """
        kind, metadata = self.kind(obj["kind"], obj["apiVersion"]), obj["metadata"]
        name = metadata.get("name", "")
        path = kind.path(metadata.get("namespace", self.namespace), "" if verb == "create" and not part else name, part)
        resource = f"{kind.resource}/{part}" if part else kind.resource
        said = f"{part} of {kind.name} {name}" if part else f"{kind.name} {name}" if name else resource
        return Request(path, verb, resource, self.namespace if kind.namespaced else None, said)

    def list(
        self, kind: str, api_version: str = "v1", everywhere: bool = False, labels: dict | None = None, fields: str = ""
    ) -> "list[dict]":
        """Return the live objects of a kind in this namespace, or with `everywhere` in all namespaces.

        With `labels`, {label: value}, only the objects that have these labels. `fields` is the API's field selector,
        such as "type=Warning".
        """
        metadata = {"namespace": None} if everywhere else {}
        request = self.request("list", {"apiVersion": api_version, "kind": kind, "metadata": metadata})
        selectors = {"labelSelector": selector(labels or {}), "fieldSelector": fields}
        return self.transport.send(request, query={name: text for name, text in selectors.items() if text})["items"]
