"""Port forwarding: ports of a pod as local ports, through the API server."""

import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from kubernetes import client
from kubernetes.stream import portforward

from slipway.cluster.api import Cluster
from slipway.cluster.api_resources import is_ready, named, selector
from slipway.cluster.pod_diagnostics import state_of
from slipway.core.errors import SlipwayError

CHUNK = 65536


@contextmanager
def forwarded(cluster: Cluster, labels: dict[str, str], ports: tuple[int, ...]) -> Iterator[dict[int, int]]:
    """Context manager: forward ports of the newest ready pod with these labels; yield {pod's port: port on 127.0.0.1}.

    Each connection gets a separate stream through the API server, so many connections may be open at once. Raises
    SlipwayError if no pod is ready, or if the user may not forward the pod's ports.
    """
    pod = ready_pod(cluster, labels)
    # This call raises an error if the user lacks the right. A later client would only see a closed connection.
    _stop(_connected(cluster, pod, ports[0]))
    with ExitStack() as listening:
        yield {port: listening.enter_context(_listening(cluster, pod, port)) for port in ports}


def ready_pod(cluster: Cluster, labels: dict[str, str]) -> str:
    """Return the name of the newest ready pod with these labels.

    Raises SlipwayError, with the states of the pods, if no pod is ready.
    """
    pods = cluster.list("Pod", labels=labels)
    ready = [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
    if not ready:
        states = "; ".join(state_of(pod, []) for pod in pods) or "there is none"
        raise SlipwayError(f"no pod of {selector(labels)} is ready in the namespace {cluster.namespace}: {states}")
    return max(ready, key=lambda pod: pod["metadata"]["creationTimestamp"])["metadata"]["name"]


class _Listener(socketserver.ThreadingTCPServer):
    """A TCP server on a free port of 127.0.0.1, which relays each connection to one port of a pod."""

    allow_reuse_address = True
    daemon_threads = False
    # The number of clients that may connect at the same moment.
    request_queue_size = 128

    def __init__(self, cluster: Cluster, pod: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.cluster, self.pod, self.pods_port = cluster, pod, port
        self.clients: set[socket.socket] = set()


class _Relay(socketserver.BaseRequestHandler):
    """One client's connection, relayed to the pod and back."""

    server: _Listener

    def handle(self) -> None:
        listener = self.server
        listener.clients.add(self.request)
        with suppress(SlipwayError):
            # If the pod has gone, the client's connection closes.
            pod = _connected(listener.cluster, listener.pod, listener.pods_port)
            back = (pod, self.request, socket.SHUT_RDWR)
            answers = threading.Thread(target=_carry, args=back, name="answers of a pod")
            answers.start()
            _carry(self.request, pod, socket.SHUT_WR)
            answers.join()
            pod.close()
        listener.clients.discard(self.request)


@contextmanager
def _listening(cluster: Cluster, pod: str, port: int) -> Iterator[int]:
    """Context manager: relay a port of the pod `pod`; yield the port on 127.0.0.1 on which clients connect to it."""
    with _Listener(cluster, pod, port) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), name=f"forwarding of port {port}")
        thread.start()
        try:
            yield listener.server_address[1]
        finally:
            listener.shutdown()
            thread.join()
            for connection in list(listener.clients):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _connected(cluster: Cluster, pod: str, port: int) -> socket.socket:
    """Return a socket that is connected to a port of a pod. Raise SlipwayError if the API refuses the connection.

    Each call makes a separate API client: the library replaces the client's methods while it opens a stream.
    """
    api = client.CoreV1Api(client.ApiClient(cluster.transport.client.configuration))
    try:
        stream = portforward(api.connect_get_namespaced_pod_portforward, pod, cluster.namespace, ports=str(port))
    except client.ApiException as error:
        request = cluster.request("create", named("Pod", pod), "portforward")
        raise cluster.transport.explained(_answered(error), request) from None
    return stream.socket(port)


def _answered(error: client.ApiException) -> client.ApiException:
    """Return `error` with the HTTP status and the message that the API gave, so that the reason can be explained.

    The library writes both into one text, the reason.
    """
    text = str(error.reason)
    status = re.search(r"Handshake status (\d+)", text)
    message = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', text)
    if not status:
        return error
    reason = message[1].replace('\\"', '"') if message else ""
    return client.ApiException(status=int(status[1]), reason=reason.replace("\\", "") or text.partition(" -+-+-")[0])


def _carry(sender: socket.socket, receiver: socket.socket, at_the_end: int) -> None:
    """Relay bytes until the sender closes the connection; then shut down the receiver.

    `at_the_end` says for which direction: socket.SHUT_WR or socket.SHUT_RDWR. All bytes are read, even if the receiver
    takes no more bytes: otherwise the library's thread would fail on a closed stream.
    """
    with suppress(OSError):
        while data := sender.recv(CHUNK):
            with suppress(OSError):
                receiver.sendall(data)
    with suppress(OSError):
        receiver.shutdown(at_the_end)


def _stop(pod: socket.socket) -> None:
    """Close a stream that was opened only to test the user's right to forward ports."""
    with suppress(OSError):
        pod.shutdown(socket.SHUT_WR)
        while pod.recv(CHUNK):
            pass
    pod.close()
