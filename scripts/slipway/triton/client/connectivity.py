"""Why a gRPC API cannot be reached, found with a connection of our own, since gRPC often says no more than "closed"."""

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.core.errors import SlipwayError

if TYPE_CHECKING:
    from slipway.triton.client.connection import Endpoint

PATIENCE_S = 2.0
# OpenSSL's numbers of what a certificate may be refused for, as x509_vfy.h has them.
EXPIRED, OTHER_NAME, OTHER_ADDRESS = 10, 62, 64


def is_this_machine(host: str) -> bool:
    """Say whether a host is this machine: no program can listen at another's address."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Say whether only programs of this machine reach a server at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    called: Sequence[str] = ("--ca", "--certificate", "--key"),
) -> ssl.SSLContext:
    """Return what Python needs to speak TLS with these PEM files, as a client that trusts `ca`.

    Raises SlipwayError naming one that cannot be used as it is `called`.
    """
    if (certificate is None) != (key is None):
        given, missing = called[1:] if key is None else reversed(called[1:])
        raise SlipwayError(f"{given} needs {missing} beside it: each is of no use without the other")
    for option, file in zip(called, (ca, certificate, key), strict=True):
        if file and not file.is_file():
            raise SlipwayError(f"{option} {file} is no file; correct the path")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise SlipwayError(f"{called[0]} {ca} holds no certificate in PEM ({_reason(error)})") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC, which takes a server's own certificate as `ca`
    context.set_alpn_protocols(["h2"])  # gRPC is HTTP/2, and its servers hang up on anything else
    try:
        if certificate:
            context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise SlipwayError(
            f"{called[1]} {certificate} and {called[2]} {key} are no pair in PEM, without a password ({_reason(error)})"
        ) from None
    return context


def _reason(error: OSError) -> str:
    """Return why OpenSSL does not take a file, or why it could not be read."""
    return getattr(error, "reason", None) or error.strerror or str(error)


def why_unreachable(endpoint: "Endpoint") -> str | None:
    """Return in words why no gRPC call reaches an endpoint and what to do, or None where nothing was found."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), PATIENCE_S) as connection:
            return _why_not_in_the_clear(connection) if endpoint.tls is None else _why_not_tls(connection, endpoint)
    except ConnectionRefusedError:
        return "nothing listens there. Start the server, or correct --url"
    except socket.gaierror as error:
        return f"the host is not known ({error.strerror}). Correct --url"
    except TimeoutError:
        return f"it says nothing for {PATIENCE_S:g} s. See whether it hangs, correct --url, or open the firewall"
    except OSError as error:
        return f"{error.strerror or error}. Correct --url"


def _why_not_in_the_clear(connection: socket.socket) -> str | None:
    """Say whether what listens wants TLS: it does when it answers a handshake, be it with a refusal."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        context.wrap_socket(connection).close()
    except TimeoutError:
        raise
    except OSError:
        return "something listens there that closes the connection. Is it the gRPC port? Triton's is 8001 by default"
    return "it speaks TLS. Add --tls, and --ca with the authority that signed its certificate"


def _why_not_tls(connection: socket.socket, endpoint: "Endpoint") -> str | None:
    """Say which side's certificate the handshake fails on."""
    tls = endpoint.tls
    name = tls.server_name or endpoint.host
    context = tls_context(tls.ca, tls.certificate, tls.key)
    try:
        secured = context.wrap_socket(connection, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        return _why_not_trusted(error, name)
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return "it does not speak TLS. Leave --tls out"
        return f"the TLS handshake fails ({error.reason or error})"
    # Under TLS 1.3 a server refuses a client's certificate only after the handshake, where it would greet otherwise.
    with secured:
        try:
            greeted = secured.recv(1) != b""
        except (ssl.SSLError, ConnectionError):
            greeted = False
    if greeted:
        return None
    if tls.certificate:
        return f"it does not accept the client certificate {tls.certificate}. Take one that its own authority signed"
    return "it speaks TLS and hangs up: it wants a client certificate (mutual TLS). Add --certificate and --key"


def _why_not_trusted(error: ssl.SSLCertVerificationError, name: str) -> str:
    if error.verify_code in (OTHER_NAME, OTHER_ADDRESS):
        return f"its certificate is not for {name}. Say with --server-name which name it is for"
    if error.verify_code == EXPIRED:
        return "its certificate has expired. Renew it on the server"
    return (
        f"its certificate is not trusted ({error.verify_message}). Name the authority that signed it with --ca, or see "
        "whether this is the right server"
    )
