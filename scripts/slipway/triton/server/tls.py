"""TLS of the server on this machine: checks of its PEM files, flags for the server, settings for its clients.

The records of the server and of deployments have only the paths of keys; only OpenSSL reads the keys. Before anything
is changed, a handshake in memory between server and client tests the files.
"""

import argparse
import contextlib
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError, amended
from slipway.core.job_preconditions import require_planned
from slipway.core.job_settings import add_planned
from slipway.triton.client.tls_context import EXPIRED, tls_context

# The settings below `deploy.tls`, with a description of each.
SETTINGS = {
    "certificate": "certificate of the server (PEM); with it, gRPC speaks TLS",
    "key": "private key of the server (PEM)",
    "client_ca": "certificate authority of the accepted clients (PEM): mutual TLS",
    "deployer_certificate": "client certificate of this workflow (PEM), for mutual TLS",
    "deployer_key": "private key of that certificate (PEM)",
}
OUT_OF_DATE = {EXPIRED: "has expired", 9: "is not valid yet"}  # by OpenSSL's error codes
ROUNDS = 3  # in a TLS 1.3 handshake, each side has two turns
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]  # (server, client)


@dataclass(frozen=True)
class ServerTls:
    """The TLS settings of a server: the paths of its PEM files, and the SHA-256 of the public files.

    `server_name` is the name in the certificate that clients check. `client_ca` is the authority of the accepted
    clients, and the deployer's files are Slipway's own client certificate; they are None without mutual TLS. A server
    reads the files only at its start. So when a SHA-256 changes, the server must be replaced.
    """

    certificate: str
    certificate_sha256: str
    key: str
    server_name: str
    client_ca: str | None = None
    client_ca_sha256: str | None = None
    deployer_certificate: str | None = None
    deployer_key: str | None = None

    def flags(self) -> list[str]:
        """Return Triton's flags for TLS on gRPC."""
        own = ["--grpc-use-ssl=true", f"--grpc-server-cert={self.certificate}", f"--grpc-server-key={self.key}"]
        mutual = ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.client_ca}"]
        return own + (mutual if self.client_ca else [])

    def as_they_are_now(self, host: str) -> "ServerTls":
        """Return these settings with the SHA-256 of the files as they are now, for example after a renewal.

        `host` is the address at which the server listens. Raises SlipwayError as `server_tls` does.
        """
        return server_tls(host, *(getattr(self, name) for name in SETTINGS))


def add_tls(arguments: argparse.ArgumentParser) -> None:
    """Add the options for the server's PEM files, --tls-certificate and so on."""
    group = arguments.add_argument_group("TLS", "without these options: no TLS")
    for name, what in SETTINGS.items():
        group.add_argument(f"--tls-{name.replace('_', '-')}", type=Path, help=what)
    add_planned(group, "tls_certificate_sha256", "tls_client_ca_sha256")


def tls_of(arguments: argparse.Namespace) -> ServerTls | None:
    """Return the TLS settings in a program's options; None without them.

    Raises SlipwayError if a file cannot be used, or if a public file was changed since planning.
    """
    options = {name: value for name, value in vars(arguments).items() if name.startswith("tls_")}
    files = [options.get(f"tls_{name}") for name in SETTINGS]
    if not any(files):
        return None
    tls = server_tls(arguments.host, *files)
    require_planned(argparse.Namespace(**options))
    return tls


def planned_tls(host: str, chosen: dict[str, str | None], digest: Callable[[str | None], str | None]) -> dict:
    """Check the PEM files in `deploy.tls` of config.yaml, and return the deploying program's options for them.

    The result has "tls_<name>" (path or None) for each name in SETTINGS, and "tls_certificate_sha256" and
    "tls_client_ca_sha256". A server reads certificates only at its start, so the SHA-256 makes the deployment stale
    when a certificate is renewed. `host` is the address of the server, `chosen` is {name in SETTINGS: path or None}.
    digest(path) returns a file's SHA-256, and None for None. Raises SlipwayError as `server_tls` does.
    """
    server_tls(host, *map(chosen.get, SETTINGS))
    public = {f"tls_{name}_sha256": digest(chosen[name]) for name in ("certificate", "client_ca")}
    return {f"tls_{name}": file for name, file in chosen.items()} | public


def server_tls(host: str, *files: str | Path | None) -> ServerTls:
    """Check the PEM files of a server that listens at `host`, and return its TLS settings.

    `files` are the paths in the order of SETTINGS: certificate, key, client_ca, deployer_certificate, deployer_key; the
    last three may be None. Raises SlipwayError with the name of the setting if a file is missing or broken, a key does
    not belong to its certificate, a certificate has expired or is not for `host`, or `client_ca` did not sign
    `deployer_certificate`.
    """
    pairs = zip_longest(SETTINGS, files)
    certificate, key, client_ca, own, own_key = (Path(file) if file else None for _, file in pairs)
    with amended(after=". Nothing was changed."):
        if not certificate or not key:
            raise SlipwayError("`deploy.tls` needs `certificate` and `key`: without them nothing is encrypted")
        if (client_ca is None) != (own is None):
            raise SlipwayError(
                "`deploy.tls.client_ca`, `deployer_certificate` and `deployer_key` are needed together: a server that "
                "admits only clients with a certificate must admit this workflow, which proves and switches it"
            )
        contexts = _contexts(certificate, key, client_ca, own, own_key)
        name = _name_for(host, certificate, _shown(contexts, certificate, client_ca, own), contexts)
    mutual = {"client_ca": client_ca, "deployer_certificate": own, "deployer_key": own_key}
    return ServerTls(
        certificate=str(certificate.absolute()),
        certificate_sha256=sha256(certificate),
        key=str(key.absolute()),
        server_name=name,
        client_ca_sha256=sha256(client_ca) if client_ca else None,
        **{setting: str(path.absolute()) if path else None for setting, path in mutual.items()},
    )


def _contexts(certificate: Path, key: Path, client_ca: Path | None, own: Path | None, own_key: Path | None) -> Contexts:
    """Return the TLS contexts of (server, client) to test these PEM files with a handshake.

    `own` and `own_key` are the certificate and the key of the client. Raises SlipwayError if a file cannot be used.
    """
    called = [f"deploy.tls.{name}" for name in SETTINGS]
    tls_context(None, certificate, key, ("", *called[:2]))
    tls_context(client_ca, own, own_key, called[2:])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    if client_ca:
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(client_ca)
    return server, tls_context(certificate, own, own_key)


def _shown(contexts: Contexts, certificate: Path, client_ca: Path | None, own: Path | None) -> dict:
    """Test a handshake, and return the content of the server's certificate, as `SSLSocket.getpeercert` returns it.

    `own` is the client's certificate. Raises SlipwayError with the setting if one side refuses the other.
    """
    try:
        return _shake_hands(*contexts, None)
    except _Refused as refused:
        error, by_server = refused.args
        setting, file, why = "certificate", str(certificate), "is not accepted"
        if by_server:
            setting, file = "deployer_certificate", str(own)
            why = f"was not signed by `deploy.tls.client_ca` {client_ca}"
        why = OUT_OF_DATE.get(error.verify_code, f"{why} ({error.verify_message})")
        raise SlipwayError(f"`deploy.tls.{setting}` {file} {why}; name another file") from None


def _name_for(host: str, certificate: Path, shown: dict, contexts: Contexts) -> str:
    """Return a name for which clients accept the certificate of a server at `host`. A handshake tests each name.

    `shown` is the content of the certificate, as `SSLSocket.getpeercert` returns it. Raises SlipwayError if no name is
    accepted.
    """
    named = [name for kind, name in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    names = [host]
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:  # clients may use any name of this machine
            names = [name.replace("*", "server") for name in named]
        elif address.is_loopback:
            names.append("localhost")
    for name in names:
        with contextlib.suppress(_Refused):
            _shake_hands(*contexts, name)
            return name
    raise SlipwayError(
        f"`deploy.tls.certificate` {certificate} is for {', '.join(named) or 'no host'}, but clients reach the server "
        f"at {host} (`deploy.host`): name a certificate with that as a subjectAltName"
    )


class _Refused(Exception):
    """A failed handshake. Its arguments are OpenSSL's error, and whether the server refused the client."""


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> dict:
    """Run a handshake in memory with a client that expects the server `name`, or any server for None.

    Return the content of the server's certificate, as `SSLSocket.getpeercert` returns it. Raises _Refused if one side
    refuses the other.
    """
    client.check_hostname = name is not None
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    for side in [asking, answering] * ROUNDS:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as error:
            raise _Refused(error, side is answering) from None
    return dict(asking.getpeercert() or {})
