"""How a stand-in of a Kubernetes API server answers each request, in the shapes of the real one."""

import contextlib
import json
import re
import socket
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from helpers.kubernetes_api.store import KINDS, ApiError, public, require_valid
from helpers.kubernetes_api.streams import Forward, handshake

PATH = re.compile(
    r"/(?:api|apis)/(?P<version>v1|[^/]+/[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?$"
)
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Handler(BaseHTTPRequestHandler):
    """One connection of a client; `api` is the server that it belongs to."""

    api = None
    protocol_version = "HTTP/1.1"
    # Headers and body are two packets, and the second is not to wait for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.api.connections.add(self)

    def finish(self):
        self.api.connections.discard(self)
        super().finish()

    def log_message(self, *_):
        pass

    def _answer(self):
        url = urlsplit(self.path)
        self.path, self.query = url.path, dict(parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.api.record(self.command, self.path, self.query, body, self.headers.get("Accept", ""))
        try:
            if self._is_told_to_fail():
                return
            self._require_user()
            self._route(body)
        except ApiError as error:
            self._send(error.status, error.code, error.headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _is_told_to_fail(self):
        failure = self.api.next_failure(self.path)
        if failure is None:
            return False
        if failure.code == 0:
            self.api.stopping.wait()
            self.close_connection = True
            return True
        reasons = {401: "Unauthorized", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
        headers = {name.replace("_", "-"): str(value) for name, value in failure.headers.items()}
        raise ApiError(
            failure.code, reasons.get(failure.code, "Unknown"), f"told to fail with {failure.code}", (), headers
        )

    def _require_user(self):
        if self.headers.get("Authorization") != f"Bearer {self.api.token}":
            raise ApiError(401, "Unauthorized", "Unauthorized")

    def _route(self, body):
        if self.path == "/version":
            return self._send({"major": "1", "minor": "31", "gitVersion": self.api.version})
        version = self.path.removeprefix("/apis/").removeprefix("/api/")
        if version in KINDS and version.partition("/")[0] not in self.api.uninstalled:
            return self._send(_resources(version))
        found = PATH.match(self.path)
        kinds = (
            KINDS.get(found["version"], {})
            if found and found["version"].partition("/")[0] not in self.api.uninstalled
            else {}
        )
        kind = next((kind for kind, (plural, _) in kinds.items() if plural == found["plural"]), None)
        if kind is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        self.target = (kind, found["namespace"], found["name"])
        self.kind = kind
        self.group = found["version"].rpartition("/")[0]
        self.resource = "/".join(filter(None, (found["plural"], found["part"])))
        self._require_right()
        if found["part"] == "log":
            return self._send_text(self.api.logs)
        if found["part"] == "portforward":
            return self._forward()
        return getattr(self, f"_{self.command.lower()}")(found["version"], body)

    def _require_right(self):
        verb = VERBS.get(self.command) or ("get" if self.target[2] else "list")
        _, namespace, name = self.target
        everywhere = (verb, self.resource, "everywhere") in self.api.denied and not namespace
        if (verb, self.resource) not in self.api.denied and not everywhere:
            return
        where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
        plural = self.resource.partition("/")[0] + (f".{self.group}" if self.group else "")
        raise ApiError(
            403,
            "Forbidden",
            f'{plural}{f" {json.dumps(name)}" if name else ""} is forbidden: User "{self.api.user}" cannot {verb} '
            f'resource "{self.resource}" in API group "{self.group}"{where}',
        )

    def _get(self, version, _):
        kind, namespace, name = self.target
        if name:
            return self._send(self._shown(self.api.store.get(kind, namespace, name)))
        with self.api.store.lock:
            items = [public(each) for each in self.api.store.list(kind, namespace) if _selected(each, self.query)]
            listed = {
                "kind": f"{kind}List",
                "apiVersion": version,
                "metadata": {"resourceVersion": str(self.api.store.version)},
            }
        return self._send({**listed, "items": items})

    def _shown(self, found):
        """Return an object, or its metadata alone where that is what the client accepts."""
        if "as=PartialObjectMetadata" not in self.headers.get("Accept", ""):
            return public(found)
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": found["metadata"]}

    def _patch(self, _, body):
        if self.headers["Content-Type"] != "application/apply-patch+yaml":
            raise ApiError(415, "UnsupportedMediaType", "only server-side apply is spoken here")
        with self.api.store.lock:
            self._require_namespace(is_new=self.target not in self.api.store.objects)
        dry_run, force = self.query.get("dryRun") == "All", self.query.get("force") == "true"
        with self.api.store.lock:
            before = self.api.store.objects.get(self.target)
            applied = self.api.store.apply(body, self.query["fieldManager"], dry_run, force)
            changed = before is None or before["metadata"]["generation"] != applied["metadata"]["generation"]
            if changed and not dry_run:
                self.api.controller.reconcile(self.api.store.get(*self.target))
        return self._send(applied, 200 if before else 201)

    def _post(self, _, body):
        require_valid(body)
        if self.kind == "SelfSubjectAccessReview":
            return self._send(
                {**body, "status": {"allowed": self._is_allowed(body["spec"]["resourceAttributes"])}}, 201
            )
        self._require_namespace()
        with self.api.store.lock:
            name = body["metadata"]["name"]
            if (self.kind, self.target[1], name) in self.api.store.objects:
                raise ApiError(409, "AlreadyExists", f'{self.resource} "{name}" already exists')
            body["metadata"]["namespace"] = self.target[1]
            return self._send(self.api.store.put(body), 201)

    def _put(self, _, body):
        with self.api.store.lock:
            live = self.api.store.get(*self.target)
            self._require_version(live, body["metadata"].get("resourceVersion"))
            return self._send(self.api.store.put(body))

    def _delete(self, _, body):
        with self.api.store.lock:
            live = self.api.store.get(*self.target)
            self._require_version(live, ((body or {}).get("preconditions") or {}).get("resourceVersion"))
            self.api.store.remove(*self.target)
        return self._send({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    def _require_version(self, live, wanted):
        if wanted and wanted != live["metadata"]["resourceVersion"]:
            message = "the object has been modified; please apply your changes to the latest version and try again"
            told = f'Operation cannot be fulfilled on {self.resource} "{self.target[2]}": {message}'
            raise ApiError(409, "Conflict", told)

    def _require_namespace(self, is_new=True):
        """Raise the API's refusal unless there is the namespace, and it takes what is new."""
        kind, name = "Namespace", self.target[1]
        if not name:
            return
        found = self.api.store.get(kind, None, name)
        if is_new and found.get("status", {}).get("phase") == "Terminating":
            why = f"unable to create new content in namespace {name} because it is being terminated"
            raise ApiError(403, "Forbidden", f'{self.resource} "{self.target[2] or ""}" is forbidden: {why}')

    def _is_allowed(self, asked):
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        return (asked["verb"], resource) not in self.api.denied

    def _forward(self):
        if self.headers.get("Upgrade", "").lower() != "websocket":
            raise ApiError(400, "BadRequest", "Upgrade request required")
        self.api.store.get(*self.target)
        self.send_response(101)
        for name, value in handshake(self.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        self.api.streams.add(self)
        ports = [int(port) for port in self.query["ports"].split(",")]
        Forward(self.connection, ports, self.api.forwards).serve()
        self.api.streams.discard(self)

    def hang_up(self):
        """Break the connection."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer, code=200, headers=None):
        self._send_bytes(json.dumps(answer).encode(), "application/json", code, headers or {})

    def _send_text(self, text):
        self._send_bytes(text.encode(), "text/plain", 200, {})

    def _send_bytes(self, data, content, code, headers):
        self.send_response(code)
        for name, value in {"Content-Type": content, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _resources(version):
    """Return the discovery document of a version of a group, with what is only a part of an object as well."""
    verbs = ["create", "delete", "get", "list", "patch", "update"]
    whole = [
        {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs}
        for kind, (plural, namespaced) in KINDS[version].items()
    ]
    parts = [{**each, "name": f"{each['name']}/status", "verbs": ["get", "patch", "update"]} for each in whole]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": whole + parts}


def _selected(found, query):
    labels = found["metadata"].get("labels", {})
    wanted = [each.split("=") for each in query.get("labelSelector", "").split(",") if each]
    if any(labels.get(key) != value for key, value in wanted):
        return False
    fields = {"metadata.name": found["metadata"]["name"], "type": found.get("type")}
    return all(
        fields[key] == value
        for key, value in (each.split("=") for each in query.get("fieldSelector", "").split(",") if each)
    )
