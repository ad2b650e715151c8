"""Make the TLS context of a client from PEM files, and check these files."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from slipway.core.errors import SlipwayError

# OpenSSL's error code for an expired certificate, from x509_vfy.h.
EXPIRED = 10


def tls_context(
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    called: Sequence[str] = ("--ca", "--certificate", "--key"),
) -> ssl.SSLContext:
    """Return Python's TLS context for a client with these PEM files.

    `ca` is the authority that the client trusts; None: the authorities of this system. `certificate` and `key` belong
    to the client, for mutual TLS; None without it. `called` are the names of the settings or options for the three
    files. Raises SlipwayError with such a name if its file cannot be used.
    """
    if (certificate is None) != (key is None):
        present, missing = called[1:] if key is None else reversed(called[1:])
        raise SlipwayError(f"{present} needs {missing} beside it: each is of no use without the other")
    for option, file in zip(called, (ca, certificate, key), strict=True):
        if file and not file.is_file():
            raise SlipwayError(f"{option} {file} is no file; correct the path")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise SlipwayError(
            f"{called[0]} {ca} holds no certificate in PEM ({_reason(error)}); name another file"
        ) from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # like gRPC, which accepts a server's own certificate as `ca`
    context.set_alpn_protocols(["h2"])  # gRPC is HTTP/2; its servers close any other connection
    try:
        if certificate:
            context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise SlipwayError(
            f"{called[1]} {certificate} and {called[2]} {key} are no pair in PEM, without a password "
            f"({_reason(error)}); "
            "name a certificate and its key"
        ) from None
    return context


def _reason(error: OSError) -> str:
    """Return in words why OpenSSL refuses a PEM file, or why the file cannot be read."""
    return getattr(error, "reason", None) or error.strerror or str(error)
