"""The address of a Triton server's gRPC API, and the TLS that it is reached over."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slipway.core.errors import SlipwayError
from slipway.triton.client.ports import Ports
from slipway.triton.client.tls_context import tls_context

# Where Triton's gRPC API listens unless it is told otherwise.
GRPC_PORT = 8001


@dataclass(frozen=True)
class Tls:
    """What TLS needs, as PEM files: whom to trust, and for mutual TLS who this client is.

    `ca` None trusts the authorities that gRPC carries; `server_name` is the name in the server's certificate where that
    is not the host, as behind a tunnel.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Raise SlipwayError naming the file, unless gRPC will be able to use them all."""
        tls_context(self.ca, self.certificate, self.key)


@dataclass(frozen=True)
class Endpoint:
    """Where a gRPC API listens, and how it is spoken to: in the clear, or over TLS."""

    host: str
    port: int = GRPC_PORT
    tls: Tls | None = None

    @classmethod
    def parse(cls, url: str, tls: Tls | None = None) -> "Endpoint":
        """Return the endpoint that HOST:PORT, HOST or [IPv6]:PORT names."""
        try:
            parts = urlsplit(f"//{url}")
            if "/" in url or not parts.hostname:
                raise ValueError
            return cls(parts.hostname, GRPC_PORT if parts.port is None else parts.port, tls)
        except ValueError:
            raise SlipwayError(
                f"{url!r} is no address of a gRPC API; write HOST:PORT, such as 127.0.0.1:{GRPC_PORT}, without http://"
            ) from None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def endpoint_of(ports: Ports) -> Endpoint:
    """Return the gRPC API of a server of this checkout, of which its own certificate alone is trusted."""
    tls = ports.tls
    if tls is None:
        return Endpoint(ports.host, ports.grpc)
    own = [Path(file) if file else None for file in (tls.deployer_certificate, tls.deployer_key)]
    return Endpoint(ports.host, ports.grpc, Tls(Path(tls.certificate), *own, tls.server_name))
