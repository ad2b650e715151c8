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
    """TLS settings of a client, as PEM files: the authority to trust, and for mutual TLS the client's certificate.

    `ca` None trusts gRPC's built-in authorities. `server_name` is the name in the server's certificate if it differs
    from the host, as behind a tunnel.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        """Raise SlipwayError with the file's name unless gRPC can use all files."""
        tls_context(self.ca, self.certificate, self.key)


@dataclass(frozen=True)
class Endpoint:
    """The address of a gRPC API, and its TLS settings. `tls` is None without encryption."""

    host: str
    port: int = GRPC
    tls: Tls | None = None

    @classmethod
    def parse(cls, url: str, tls: Tls | None = None) -> "Endpoint":
        """Return the endpoint of HOST:PORT, HOST or [IPv6]:PORT."""
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
    """Return the gRPC endpoint of a server of this checkout; only its own certificate is trusted."""
    tls = ports.tls
    if tls is None:
        return Endpoint(ports.host, ports.grpc)
    certificate, key = (Path(file) if file else None for file in (tls.deployer_certificate, tls.deployer_key))
    return Endpoint(ports.host, ports.grpc, Tls(Path(tls.certificate), certificate, key, tls.server_name))
