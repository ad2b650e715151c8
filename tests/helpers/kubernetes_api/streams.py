"""The server's side of the port forwarding that the official Kubernetes client speaks, over a WebSocket."""

import base64
import contextlib
import hashlib
import socket
import threading

from websocket import ABNF
from websocket._abnf import frame_buffer

PROTOCOLS = ("v4.channel.k8s.io", "portforward.k8s.io")
# What RFC 6455 appends to the client's key.
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def handshake(headers):
    """Return the response headers that accept a client's WebSocket, with the one protocol of those that it offers."""
    offered = [each.strip() for each in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    chosen = next(each for each in PROTOCOLS if each in offered)
    digest = hashlib.sha1((headers["Sec-WebSocket-Key"] + MAGIC).encode()).digest()
    accepted = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": chosen}
    return accepted | {"Sec-WebSocket-Accept": base64.b64encode(digest).decode()}


class Forward:
    """One WebSocket on whose even channels are the bytes of a port each, and errors on the odd ones."""

    def __init__(self, connection, ports, locally):
        self.connection = connection
        self.ports = ports
        self.locally = locally
        self._sending = threading.Lock()

    def serve(self):
        """Relay until either side has closed."""
        pods = []
        for index, port in enumerate(self.ports):
            for channel in (2 * index, 2 * index + 1):
                self._send(channel, port.to_bytes(2, "little"))
            pods.append(self._pod(index, port))
        readers = [
            threading.Thread(target=self._answer, args=(2 * index, pod)) for index, pod in enumerate(pods) if pod
        ]
        for reader in readers:
            reader.start()
        self._ask(pods)
        for pod in filter(None, pods):
            _hang_up(pod)
        for reader in readers:
            reader.join()

    def _pod(self, index, port):
        try:
            return socket.create_connection(("127.0.0.1", self.locally[port]))
        except (OSError, KeyError):
            refused = f"an error occurred forwarding {port}: connection refused"
            self._send(2 * index + 1, refused.encode())
            return None

    def _ask(self, pods):
        """Send the pod what the client sends, until it closes."""
        frames = frame_buffer(self._receive, True)
        while True:
            try:
                frame = frames.recv_frame()
            except OSError:
                return
            if frame.opcode == ABNF.OPCODE_CLOSE:
                return
            if frame.opcode == ABNF.OPCODE_BINARY and (pod := pods[frame.data[0] // 2]):
                try:
                    pod.sendall(frame.data[1:])
                except OSError:
                    return

    def _answer(self, channel, pod):
        """Send the client what the pod answers, until it closes."""
        try:
            while data := pod.recv(65536):
                self._send(channel, data)
        except OSError:
            pass
        _hang_up(self.connection)

    def _receive(self, size):
        data = self.connection.recv(size)
        if not data:
            raise OSError("the client has gone")
        return data

    def _send(self, channel, data):
        frame = ABNF.create_frame(bytes([channel]) + data, ABNF.OPCODE_BINARY)
        frame.mask_value = 0
        with self._sending:
            self.connection.sendall(frame.format())


def _hang_up(connection):
    """End a connection in both directions, which also wakes whoever reads from it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
