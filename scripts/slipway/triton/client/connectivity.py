"""Find out why a server's gRPC API cannot be reached. gRPC often reports only "closed", so a plain socket is tried."""

import contextlib
import socket
import ssl

from slipway.triton.client.endpoint import Endpoint, Tls
from slipway.triton.client.tls_context import EXPIRED, tls_context
from slipway.triton.default_ports import GRPC

PATIENCE_S = 2.0
# OpenSSL's error codes for refused certificates, from x509_vfy.h.
OTHER_NAME, OTHER_ADDRESS = 62, 64


def why_unreachable(endpoint: Endpoint) -> str | None:
    """Return text on why a server cannot be reached, with the remedy; None if a connection (with TLS) succeeds."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), PATIENCE_S) as connection:
            if endpoint.tls is None:
                return _why_not_in_the_clear(connection)
            return _why_not_tls(connection, endpoint.tls, endpoint.tls.server_name or endpoint.host)
    except ConnectionRefusedError:
        return "nothing listens there. Start the server, or correct --url"
    except socket.gaierror as error:
        return f"the host is not known ({error.strerror}). Correct --url"
    except TimeoutError:
        return f"it says nothing for {PATIENCE_S:g} s. See whether it hangs, correct --url, or open the firewall"
    except OSError as error:
        return f"{error.strerror or error}. Correct --url"


def _why_not_in_the_clear(connection: socket.socket) -> str | None:
    """Return in words why a connection without TLS fails: the server expects TLS, or closes the connection."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        context.wrap_socket(connection).close()
    except TimeoutError:
        raise
    except OSError:
        return f"something listens there that closes the connection. Is it the gRPC port? Triton's is {GRPC} by default"
    return "it speaks TLS. Add --tls, and --ca with the authority that signed its certificate"


def _why_not_tls(connection: socket.socket, tls: Tls, name: str) -> str | None:
    """Return in words why a TLS handshake on an open connection fails; None if it succeeds.

    The server's certificate must be for the host name `name`.
    """
    context = tls_context(tls.ca, tls.certificate, tls.key)
    try:
        secured = context.wrap_socket(connection, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        return _why_not_trusted(error, name)
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return "it does not speak TLS. Leave --tls out"
        return f"the TLS handshake fails ({error.reason or error})"
    # With TLS 1.3, a server refuses a client's certificate only after the handshake, in place of an HTTP/2 greeting.
    with secured, contextlib.suppress(ssl.SSLError, ConnectionError):
        if secured.recv(1):
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
