"""A stand-in that behaves as a Kubernetes API server does, on 127.0.0.1, for tests of what is sent to clusters.

    with ApiServer() as server:
        server.kubeconfig(tmp_path / "kubeconfig")      # a file for KUBECONFIG; its context is "stand-in"
        server.add(found)                               # an object as it is: a Node, a claim, somebody's Pod
        server.behave("Unschedulable")                  # what new rollouts do: a name of controller.BEHAVIOURS
        server.finish()                                 # let rollouts that wait become ready
        server.deny("patch", "deployments")             # a right that the user lacks; also "create", "pods/portforward"
        server.deny_everywhere("list", "pods")          # the same, but only over all namespaces at once
        server.fail(429, times=2, match="/services")    # answer so; 0 hangs until the test ends
        server.forward_to({8001: port})                 # where the ports of every pod really are
        server.drop_streams()                           # the connections of port-forwards break
        server.objects, server.one("Deployment", "resnet50-h100"), server.requests

It knows the namespace "serving"; `namespace=` says another. Applied objects are checked against Kubernetes' published
schemas. A custom kind is missing while `server.uninstalled` has its group.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer

import yaml

from helpers.kubernetes_api.controller import BEHAVIOURS, Controller
from helpers.kubernetes_api.handler import Handler
from helpers.kubernetes_api.store import Store, public
from helpers.patience import PATIENCE_S

CONTEXT, USER, TOKEN = "stand-in", "tester", "token-of-the-tests"


@dataclass
class Request:
    """What a client asked: its method, path, parameters of the query, body, and what it accepts as an answer."""

    method: str
    path: str
    query: dict
    body: dict | None
    accept: str = ""


@dataclass
class Failure:
    """What is answered to requests whose path contains `match`, so many times."""

    code: int
    times: int
    match: str
    headers: dict = field(default_factory=dict)


class ApiServer:
    """The server, which listens from its making until the block ends."""

    def __init__(self, namespace="serving", version="v1.31.4", tls=None):
        self.store = Store()
        self.controller = Controller(self.store)
        self.version = version
        self.namespace = namespace
        self.requests = []
        self.denied = set()
        self.failures = []
        self.uninstalled = set()
        self.forwards = {}
        self.logs = "the engine cannot be deserialized\n"
        self.stopping = threading.Event()
        self.connections = set()
        self.streams = set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"api": self}))
        self._http.daemon_threads = True
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self.add_namespace(namespace)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for connection in list(self.connections):
            connection.hang_up()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    token, user = TOKEN, USER

    def record(self, *asked):
        """Write down what a client asked, by the fields of a Request."""
        self.requests.append(Request(*asked))

    def next_failure(self, path):
        """Return the failure that the next request of a path meets, or None."""
        with self.store.lock:
            for failure in self.failures:
                if failure.match in path and failure.times > 0:
                    failure.times -= 1
                    return failure
        return None

    def kubeconfig(self, path, **cluster):
        """Write the file with which a client gets here, and return its path."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": USER}}],
            "clusters": [{"name": CONTEXT, "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": USER, "user": {"token": TOKEN}}],
        }
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    @property
    def objects(self):
        """Return every object, as the API shows it."""
        with self.store.lock:
            return [public(found) for found in self.store.objects.values()]

    def one(self, kind, name):
        """Return an object as the API shows it, or None where there is none."""
        named = [each for each in self.objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
        return named[0] if named else None

    def asked(self, method, part=""):
        """Return the requests of a method whose path contains `part`."""
        return [each for each in self.requests if each.method == method and part in each.path]

    def add(self, found):
        """Store an object as it is, without any check, and return it."""
        return self.store.put(json.loads(json.dumps(found)))

    def add_namespace(self, name, phase="Active"):
        """Add a namespace, or say that it is in another phase by now."""
        found = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "status": {"phase": phase}}
        return self.add(found)

    def claim(self, name, phase="Bound"):
        """Add a claim of a volume."""
        meta = {"name": name, "namespace": self.namespace}
        return self.add(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "status": {"phase": phase}}
        )

    def node(self, name, labels=None, allocatable=None, ready=True, **spec):
        """Add a node with these labels and what it has for pods."""
        has = {"cpu": "16", "memory": "64Gi", "pods": "110", **(allocatable or {})}
        conditions = [{"type": "Ready", "status": str(ready)}]
        meta = {"name": name, "labels": labels or {}}
        status = {"allocatable": has, "conditions": conditions}
        return self.add({"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec, "status": status})

    def behave(self, behaviour):
        """Let the rollouts that come go so."""
        assert behaviour in BEHAVIOURS, behaviour
        self.controller.behaviour = behaviour

    def finish(self):
        """Let rollouts that wait or are stuck become ready."""
        self.controller.finish()

    def deny(self, verb, resource):
        """Take a right away: a verb on a resource, such as "deployments" or "pods/log"."""
        self.denied.add((verb, resource))

    def deny_everywhere(self, verb, resource):
        """Take a right away over all namespaces at once, which most users do not have."""
        self.denied.add((verb, resource, "everywhere"))

    def fail(self, code, times=1, match="", **headers):
        """Answer the next requests whose path contains `match` with an error; 0 hangs."""
        self.failures.append(Failure(code, times, match, headers))

    def forward_to(self, ports):
        """Say where the ports of pods are: {pod's port: port on 127.0.0.1}."""
        self.forwards = dict(ports)

    def drop_streams(self):
        """Break the connection of every port-forward that is open."""
        for connection in list(self.streams):
            connection.hang_up()

    def until(self, condition, seconds=PATIENCE_S):
        """Wait until a condition on this server holds; fail the test when it never does."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "what the test waits for did not happen"
            time.sleep(0.01)
