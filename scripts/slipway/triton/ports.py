"""Where a server listens, and over what TLS."""

import errno
import socket
from dataclasses import dataclass

from slipway.errors import SlipwayError
from slipway.triton.server_tls import ServerTls


@dataclass(frozen=True)
class Ports:
    """Where a server listens, and over what TLS; what it cannot encrypt then stays on this machine."""

    http: int
    grpc: int
    metrics: int
    host: str = "127.0.0.1"
    tls: ServerTls | None = None

    @classmethod
    def of(cls, listening: dict) -> "Ports":
        """Return what a server's state or a receipt says of where it listens."""
        tls = listening.get("tls")
        return cls(**{**listening, "tls": ServerTls(**tls) if tls else None})

    @property
    def clear_host(self) -> str:
        """Return the address of HTTP and metrics, for which Triton has no TLS."""
        return "127.0.0.1" if self.tls else self.host

    @classmethod
    def free(cls) -> "Ports":
        """Return three ports of 127.0.0.1 that nobody listens on."""
        sockets = [socket.socket() for _ in range(3)]
        try:
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return cls(*(one.getsockname()[1] for one in sockets))
        finally:
            for one in sockets:
                one.close()

    def taken(self) -> list[int]:
        """Return the ports that somebody already listens on.

        Raises SlipwayError when nobody may listen there: at another machine's address, or at a port for root alone.
        """
        hosts = {self.http: self.clear_host, self.grpc: self.host, self.metrics: self.clear_host}
        return [port for port, host in hosts.items() if not _can_bind(host, port)]


def listening_flags(ports: Ports) -> list[str]:
    """Return the flags that make a server listen at `ports` and nowhere else."""
    kinds = {
        "http": (ports.http, ports.clear_host),
        "grpc": (ports.grpc, ports.host),
        "metrics": (ports.metrics, ports.clear_host),
    }
    listening = [
        flag for kind, (port, host) in kinds.items() for flag in (f"--{kind}-port={port}", f"--{kind}-address={host}")
    ]
    return listening + (ports.tls.flags() if ports.tls else [])


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
