"""Addresses of storage, such as s3://bucket/best.safetensors. Logs have addresses, so no address may have a secret."""

import re

from slipway.core.errors import SlipwayError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OF_THIS_MACHINE = re.compile(r"(?:file|local)://")
_SECRETS = (
    re.compile(r"://[^/@:]*:(?!\d*/)[^@]*@"),  # user:password@, but not a port with a slash
    re.compile(r"^https?://[^/]*@"),  # a token as the user
    re.compile(  # a signature or a key in the query
        r"[?&;][^=&]*(?:sig|token|key|cred|pass|pwd|secret|auth|policy|expires|x-amz|x-goog)[^=&]*=", re.IGNORECASE
    ),
)


def is_address(text: str) -> bool:
    """Say whether a text is an address of storage. A path, also with file:// or local:// in front, is no address."""
    return bool(_ADDRESS.match(text)) and not _OF_THIS_MACHINE.match(text)


def local_path(text: str) -> str:
    """Return a path on this machine without file:// or local:// in front."""
    return _OF_THIS_MACHINE.sub("", text, count=1)


def file_name(address: str) -> str:
    """Return the name of a file in storage, such as "best.safetensors", without the query of its address."""
    return without_query(address).rstrip("/").rpartition("/")[2]


def without_query(address: str) -> str:
    """Return the address of a web server without its query. Other addresses are returned unchanged."""
    return address.partition("?")[0] if address.startswith(("http://", "https://")) else address


def require_no_secret(key: str, text: str) -> None:
    """Raise SlipwayError if an address has a secret. `key` is the address's key in config.yaml, for the message."""
    if _ADDRESS.match(text) and any(secret.search(text) for secret in _SECRETS):
        raise SlipwayError(
            f"config: `{key}` holds a password, token or signature, which would be in every log and record: take it "
            "out, and set in the environment what the storage's package reads"
        )
