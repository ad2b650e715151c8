"""The endpoint of a Triton server's gRPC API: its address and TLS settings."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slipway.core.errors import SlipwayError
from slipway.triton.client.ports import Ports
from slipway.triton.client.tls_context import tls_context
from slipway.triton.default_ports import GRPC


@dataclass(frozen=True)
class Tls:
    """TLS settings of a client: the paths of its PEM files.

    `ca` is the trusted certificate authority; with None, gRPC's built-in authorities are trusted. `certificate` and
    `key` belong to the client, for mutual TLS. `server_name` is the name in the server's certificate if it differs from
    the host, for example behind a tunnel.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Raise SlipwayError with the file's name unless gRPC can use all PEM files."""
        tls_context(self.ca, self.certificate, self.key)


@dataclass(frozen=True)
class Endpoint:
    """The address of a server's gRPC API, and the client's TLS settings. `tls` is None for a connection without TLS."""

    host: str
    port: int = GRPC
    tls: Tls | None = None

    @classmethod
    def parse(cls, url: str, tls: Tls | None = None) -> "Endpoint":
        """Return the endpoint for `url`: HOST:PORT, HOST or [IPv6]:PORT. Raise SlipwayError for another text.

        With `tls` None, the connection has no TLS.
        """
        try:
            parts = urlsplit(f"//{url}")
            if "/" in url or not parts.hostname:
                raise ValueError
            return cls(parts.hostname, GRPC if parts.port is None else parts.port, tls)
        except ValueError:
            raise SlipwayError(
                f"{url!r} is no address of a gRPC API; write HOST:PORT, such as 127.0.0.1:{GRPC}, without http://"
            ) from None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def endpoint_of(ports: Ports) -> Endpoint:
    """Return the gRPC endpoint of the server at `ports`, which Slipway started on this machine.

    With TLS, clients of this endpoint trust only the server's own certificate.
    """
    tls = ports.tls
    if tls is None:
        return Endpoint(ports.host, ports.grpc)
    certificate, key = (Path(file) if file else None for file in (tls.deployer_certificate, tls.deployer_key))
    return Endpoint(ports.host, ports.grpc, Tls(Path(tls.certificate), certificate, key, tls.server_name))
