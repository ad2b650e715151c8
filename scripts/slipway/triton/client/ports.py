"""The address, the ports and the TLS settings of a server."""

import errno
import socket
from collections import deque
from dataclasses import dataclass

from slipway.core.errors import SlipwayError
from slipway.triton.server.tls import ServerTls

# The sockets that hold the ports of `Ports.free`, and the largest number of them.
_HELD: deque[socket.socket] = deque()
MOST_HELD = 180


@dataclass(frozen=True)
class Ports:
    """The address, ports and TLS settings of a tritonserver. `tls` is None for a server without TLS.

    If gRPC uses TLS, HTTP and metrics listen only on this machine, because Triton has no TLS for them. `http` is None
    if the server has no HTTP API. The server always has a port for metrics.
    """

    http: int | None
    grpc: int
    metrics: int
    host: str = "127.0.0.1"
    tls: ServerTls | None = None

    @classmethod
    def of(cls, listening: dict) -> "Ports":
        """Return the ports in a server's record. `listening` is its entry "listening": {name of a field: its value}."""
        tls = listening.get("tls")
        return cls(**{**listening, "tls": ServerTls(**tls) if tls else None})

    @property
    def clear_host(self) -> str:
        """Return the address at which HTTP and metrics listen: 127.0.0.1 with TLS, since Triton has no TLS for them."""
        return "127.0.0.1" if self.tls else self.host

    @classmethod
    def free(cls) -> "Ports":
        """Return Ports for a new server: 127.0.0.1, without TLS, and three ports on which no program listens now.

        This process holds the ports, so the system gives them to no other program that asks for any free port, not even
        between two servers. The last MOST_HELD ports are held.
        """
        return cls(http=_held_port(), grpc=_held_port(), metrics=_held_port())

    def taken(self) -> list[int]:
        """Return the ports of this server on which another program already listens.

        Raises SlipwayError if this user may not listen on a port, for example on an address of another machine.
        """
        return [port for port, host in self._by_kind().values() if not _can_bind(host, port)]

    def flags(self) -> list[str]:
        """Return tritonserver's flags for these ports and for TLS. With them, the server listens on no other port."""
        listening = [
            flag
            for kind, (port, host) in self._by_kind().items()
            for flag in (f"--{kind}-port={port}", f"--{kind}-address={host}")
        ]
        without_http = [] if self.http else ["--allow-http=false"]
        return listening + without_http + (self.tls.flags() if self.tls else [])

    def in_words(self) -> str:
        """Return the ports as text, such as "gRPC 8001 (TLS), metrics 8002"."""
        http = f", HTTP {self.http}" if self.http else ""
        return f"gRPC {self.grpc}{' (TLS)' if self.tls else ''}{http}, metrics {self.metrics}"

    def _by_kind(self) -> dict[str, tuple[int, str]]:
        """Return {"http", "grpc", "metrics": (port, address)}. Without an HTTP API, "http" is left out."""
        http = {"http": (self.http, self.clear_host)} if self.http else {}
        return http | {"grpc": (self.grpc, self.host), "metrics": (self.metrics, self.clear_host)}


def _can_bind(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise SlipwayError(
                f"port {port} of the address {host} cannot be listened on ({error.strerror}): set another "
                "`deploy.host` or port in config.yaml, an IPv4 address or a name of this machine; nothing was changed"
            ) from None
    return True


def _held_port() -> int:
    """Return a port of 127.0.0.1 that is held. A server can listen on it, since the socket that holds it does not."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    if len(_HELD) > MOST_HELD:
        _HELD.popleft().close()
    return held.getsockname()[1]
