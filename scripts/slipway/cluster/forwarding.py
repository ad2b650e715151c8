"""Ports of a pod as ports of this machine, through the API server."""

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from kubernetes import client
from kubernetes.stream import portforward
from kubernetes.stream.ws_client import PortForward

from slipway.cluster.api import Cluster
from slipway.cluster.api_errors import explained
from slipway.cluster.pod_diagnostics import state_of
from slipway.core.errors import SlipwayError

CHUNK = 65536


@contextmanager
def forwarded(cluster: Cluster, labels: dict[str, str], ports: tuple[int, ...]) -> Iterator[dict[int, int]]:
    """Yield {pod's port: port on 127.0.0.1} of the newest ready pod of these labels, until the block ends.

    Each connection has a stream of its own through the API server, so there may be many at once. Raises SlipwayError
    when no pod is ready, or it may not be reached so.
    """
    pod = ready_pod(cluster, labels)
    # What is not allowed is said here, and not by a client whose connection is closed.
    _stop(_open(cluster, pod, ports[0]).socket(ports[0]))
    with ExitStack() as listening:
        yield {port: listening.enter_context(_listening(cluster, pod, port)) for port in ports}


def ready_pod(cluster: Cluster, labels: dict[str, str]) -> str:
    """Return the name of the newest ready pod of these labels; raise SlipwayError with what there is, if none is."""
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    pods = cluster.list("Pod", label_selector=selector)
    ready = [pod for pod in pods if _is_ready(pod)]
    if not ready:
        there = "; ".join(state_of(pod, []) for pod in pods) or "there is none"
        raise SlipwayError(f"no pod of {selector} is ready in the namespace {cluster.namespace}: {there}")
    return max(ready, key=lambda pod: pod["metadata"]["creationTimestamp"])["metadata"]["name"]


def _is_ready(pod: dict) -> bool:
    conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


class _Listener(socketserver.ThreadingTCPServer):
    """Takes connections to one port, and ends those that are open when it is closed."""

    allow_reuse_address = True
    daemon_threads = False
    # As many clients may connect at the same moment.
    request_queue_size = 128

    def __init__(self, cluster: Cluster, pod: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.cluster, self.pod, self.pods_port = cluster, pod, port
        self.clients: set[socket.socket] = set()


class _Relay(socketserver.BaseRequestHandler):
    """One connection of a client, carried to the pod and back."""

    def handle(self) -> None:
        listener = self.server
        listener.clients.add(self.request)
        with contextlib.suppress(SlipwayError):
            # The client sees its connection closed when the pod has gone.
            pod = _open(listener.cluster, listener.pod, listener.pods_port).socket(listener.pods_port)
            answers = threading.Thread(target=_carry_back, args=(pod, self.request), name="answers of a pod")
            answers.start()
            _carry(self.request, pod)
            answers.join()
            pod.close()
        listener.clients.discard(self.request)


@contextmanager
def _listening(cluster: Cluster, pod: str, port: int) -> Iterator[int]:
    """Yield the port of this machine that leads to a port of the pod."""
    with _Listener(cluster, pod, port) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), name=f"forwarding of port {port}")
        thread.start()
        try:
            yield listener.server_address[1]
        finally:
            listener.shutdown()
            thread.join()
            for connection in list(listener.clients):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _open(cluster: Cluster, pod: str, port: int) -> PortForward:
    """Return a stream to a port of a pod.

    It has a client of its own, since the library puts other methods into the client while it opens a stream.
    """
    of_pods = cluster.kind("Pod", "v1")
    api = client.CoreV1Api(client.ApiClient(cluster.transport.client.configuration))
    try:
        return portforward(api.connect_get_namespaced_pod_portforward, pod, cluster.namespace, ports=str(port))
    except client.ApiException as error:
        raise explained(_answered(error), cluster.asked("create", of_pods, pod, "portforward")) from None


def _answered(error: client.ApiException) -> client.ApiException:
    """Return the error with the status and the message that the API answered with, which the library puts in a text."""
    told = str(error.reason)
    status = re.search(r"Handshake status (\d+)", told)
    message = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', told)
    if not status:
        return error
    said = message[1].replace('\\"', '"') if message else ""
    return client.ApiException(status=int(status[1]), reason=said.replace("\\", "") or told.partition(" -+-+-")[0])


def _carry(sender: socket.socket, receiver: socket.socket) -> None:
    """Carry what a client sends to the pod, and tell the pod when that was all."""
    with contextlib.suppress(OSError):
        while data := sender.recv(CHUNK):
            receiver.sendall(data)
    with contextlib.suppress(OSError):
        receiver.shutdown(socket.SHUT_WR)


def _carry_back(pod: socket.socket, receiver: socket.socket) -> None:
    """Carry what the pod answers to the client, and hang up when that was all.

    What a client no longer takes is read nevertheless: the library's thread would fail of a stream that is closed.
    """
    with contextlib.suppress(OSError):
        while data := pod.recv(CHUNK):
            with contextlib.suppress(OSError):
                receiver.sendall(data)
    with contextlib.suppress(OSError):
        receiver.shutdown(socket.SHUT_RDWR)


def _stop(pod: socket.socket) -> None:
    """Close a stream that was only tried."""
    with contextlib.suppress(OSError):
        pod.shutdown(socket.SHUT_WR)
        while pod.recv(CHUNK):
            pass
    pod.close()
