"""A namespace of a Kubernetes cluster: apply, read and delete objects, with errors in plain sentences."""

from contextlib import suppress
from typing import Any

from slipway.cluster.api_errors import Asked, NotFound
from slipway.cluster.api_resources import Kind, in_order, key, kinds_of, root
from slipway.cluster.kubeconfig import connected
from slipway.cluster.transport import APPLY, JSON, Transport
from slipway.core.errors import SlipwayError

# The field manager that the cluster records.
FIELD_MANAGER = "slipway"
# API groups of software that must be installed first, and the advice if it is not.
INSTALLED = {
    "monitoring.coreos.com": "install the Prometheus Operator, or set `deploy.cluster.prometheus_operator: false`",
    "serving.kserve.io": "install KServe, or deploy to `kubernetes`",
}


class Cluster:
    """A namespace of a cluster, with the user's own rights. `context` is the kubeconfig's name of it, for receipts."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self.transport, self.context = transport, transport.context
        self.namespace = namespace
        self._kinds: dict[str, dict[str, Kind]] = {}

    @classmethod
    def connect(cls, namespace: str, context: str | None = None, timeout_s: float = 30) -> "Cluster":
        """Return the cluster of the user's kubeconfig, else the cluster of this pod. No request is sent yet.

        Raises SlipwayError if there is no kubeconfig, or the context is not in it.
        """
        return cls(Transport(*connected(context), timeout_s), namespace)

    def apply(self, objects: list[dict], dry_run: bool = False) -> list[dict]:
        """Apply objects by server-side apply; return the live objects.

        Raises SlipwayError at the first refused object. The message names the objects that were applied before.
        """
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        applied: list[dict] = []
        for wanted in in_order(objects):
            try:
                path, request = self.place(wanted, "patch")
                applied.append(self.transport.request("PATCH", path, request, query=query, body=wanted, content=APPLY))
            except SlipwayError as error:
                before = "" if dry_run else ", ".join(map(key, applied))
                error.args = (f"{error}. {f'Applied before it: {before}' if before else 'Nothing was changed'}",)
                raise
        return applied

    def get(self, found: dict, accept: str = JSON) -> dict | None:
        """Return the live object of the same kind and name; None if the object or its kind does not exist."""
        with suppress(NotFound):
            return self.transport.request("GET", *self.place(found, "get"), accept=accept)
        return None

    def delete(self, found: dict, unchanged: bool = False) -> bool:
        """Delete the object with the kind and name of `found`, then its dependents. Return whether the object existed.

        With `unchanged`, delete only the very resourceVersion of `found`, and raise Conflict if it was changed.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if unchanged:
            options["preconditions"] = {"resourceVersion": found["metadata"]["resourceVersion"]}
        with suppress(NotFound):
            self.transport.request("DELETE", *self.place(found, "delete"), body=options)
            return True
        return False

    def create(self, found: dict) -> dict:
        """Create an object and return it. Raise Conflict if it exists already."""
        kind = self.kind(found["kind"], found["apiVersion"])
        asked = self.asked("create", kind, found["metadata"].get("name", ""))
        return self.transport.request("POST", kind.path(self.namespace), asked, body=found)

    def replace(self, found: dict) -> dict:
        """Replace an object of this resourceVersion and return it. Raise Conflict if it was changed."""
        return self.transport.request("PUT", *self.place(found, "update"), body=found)

    def log(self, pod: str, container: str, lines: int, previous: bool = False) -> str:
        """Return the last lines of a container's log, or with `previous` of the log before its restart."""
        kind = self.kind("Pod", "v1")
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        path = f"{kind.path(self.namespace, pod)}/log"
        return self.transport.request("GET", path, self.asked("get", kind, pod, "log"), accept="*/*", query=query)

    def kind(self, kind: str, api_version: str) -> Kind:
        """Return the API resource of a kind; raise SlipwayError with advice if the cluster does not have it."""
        known = self._kinds.get(api_version, {})  # several threads may ask at the same time
        if kind not in known:
            request = Asked(resource=f"the kinds of {api_version}")
            with suppress(NotFound):
                known = kinds_of(self.transport.request("GET", root(api_version), request), api_version)
            self._kinds[api_version] = known
        if kind not in known:
            advice = INSTALLED.get(api_version.partition("/")[0], "this version of Kubernetes does not have it")
            raise NotFound(f"{self.context} has no {kind} of {api_version}: {advice}")
        return known[kind]

    def place(self, found: dict, verb: str) -> tuple[str, Asked]:
        """Return the path of an object, and the description of the request for error messages."""
        kind = self.kind(found["kind"], found["apiVersion"])
        name = found["metadata"]["name"]
        return kind.path(found["metadata"].get("namespace") or self.namespace, name), self.asked(verb, kind, name)

    def asked(self, verb: str, kind: Kind, name: str = "", part: str = "") -> Asked:
        """Return the description of a request for a kind, an object, or a subresource such as "log"."""
        resource = f"{kind.resource}/{part}" if part else kind.resource
        said = f"{part} of {kind.name} {name}" if part else f"{kind.name} {name}" if name else resource
        return Asked(verb, resource, self.namespace if kind.namespaced else None, said)

    def listed(self, kind: str, api_version: str, everywhere: bool = False, **selectors: str) -> dict:
        """Return the list of a kind with these selectors. Its metadata has the resourceVersion for a watch.

        It covers this namespace, or all with `everywhere`. `selectors` are labelSelector and fieldSelector.
        """
        of_kind = self.kind(kind, api_version)
        path = of_kind.path(None if everywhere else self.namespace)
        query = {name: selector for name, selector in selectors.items() if selector}
        return self.transport.request("GET", path, self.asked("list", of_kind), query=query)

    def list(self, kind: str, api_version: str = "v1", label_selector: str = "") -> "list[dict]":
        """Return the namespace's objects of a kind with these labels, such as "app=a,tier=b"."""
        return self.listed(kind, api_version, labelSelector=label_selector)["items"]
