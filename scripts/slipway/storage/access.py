"""Access to storage through fsspec. The message of each error has the cause and the remedy.

The packages that fsspec uses find credentials in the environment.
"""

import errno
import re
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from fsspec.core import url_to_fs
from fsspec.registry import get_filesystem_class, known_implementations
from fsspec.utils import get_protocol

from slipway.core.errors import SlipwayError, causes
from slipway.storage.addresses import require_no_secret
from slipway.triton.client.hosts import is_loopback

# The packages' exceptions have no common base class, so their names are compared.
_NO_CREDENTIALS = re.compile("NoCredentials|DefaultCredentials|CredentialUnavailable|PartialCredentials")
_DENIALS = re.compile("Credential|Auth|Token|Forbidden|SSO")
_CONNECTIONS = re.compile("Connect|gaierror")
_CONNECT_S, _SILENCE_S = 20, 120


class Cause(Enum):
    """Why storage failed. The value is the end of a message, in which `{key}` becomes the key with the address."""

    GONE = "it does not exist; create it first, or correct `{key}` in config.yaml"
    ANONYMOUS = (
        "no credentials were found; set in the environment those that its package reads, as AWS_PROFILE for s3://"
    )
    DENIED = "permission denied; ask for the right to use it, or set other credentials in the environment"
    READ_ONLY = "it can only be read; mount it so that it can be written"
    FULL = "the disk is full; free some space and run again, which goes on where this stopped"
    UNREACHABLE = "see that it can be reached and that its credentials are in the environment"


def opened(address: str, key: str) -> tuple[Any, str]:
    """Return (fsspec file system, path in this file system) of an address.

    `key` is the key in config.yaml that has the address, for messages. Raises SlipwayError if the address has a secret,
    if its package is not installed, or if it cannot be opened.
    """
    require_no_secret(key, address)
    protocol = get_protocol(address)
    if "::" in address:
        raise SlipwayError(
            f"{address}: with a cache in the address, the cache would be read, not the storage; leave it out"
        )
    try:
        get_filesystem_class(protocol)
    except ValueError:
        raise SlipwayError(
            f"no storage is known by {protocol}://; set `{key}` in config.yaml to a path, or to an address of "
            "fsspec's such as s3://bucket/path"
        ) from None
    except ImportError as error:
        package = known_implementations[protocol]["class"].split(".")[0]
        install = str(error) if package == "fsspec" else f"pip install {package}"
        raise SlipwayError(f"the package for {protocol}:// is not installed: {install}") from None
    try:
        return url_to_fs(address, skip_instance_cache=True, **_options(protocol, address))
    except Exception as error:
        raise SlipwayError(f"{address}: could not be opened: {reason(error, key)}") from error


def reason(error: Exception, key: str) -> str:
    """Return the cause and the remedy in words after storage failed with `error`. The text has no secrets.

    `key` is the key in config.yaml that has the address.
    """
    cause = cause_of(error)
    if cause is not Cause.UNREACHABLE:
        return cause.value.format(key=key)
    message = re.sub(r"\?\S+", "?..", (str(error).splitlines() or [""])[0])
    return f"{type(error).__name__}: {message}; {cause.value}"


def cause_of(error: Exception) -> Cause:
    """Return why storage failed, from an exception and the exceptions that caused it.

    The exception alone is not enough, since fsspec reports every refusal of a web server as a missing file.
    """
    chain = causes(error)
    names = " ".join(type(cause).__name__ for cause in chain)
    numbers = {getattr(cause, "errno", None) for cause in chain}
    status = next(filter(None, map(_status, chain)), None)
    if numbers & {errno.ENOSPC, errno.EDQUOT}:
        return Cause.FULL
    if errno.EROFS in numbers:
        return Cause.READ_ONLY
    if _NO_CREDENTIALS.search(names):
        return Cause.ANONYMOUS
    is_denied = _DENIALS.search(names) or any(isinstance(cause, PermissionError) for cause in chain)
    if status in (401, 403) or (status is None and is_denied):
        return Cause.DENIED
    is_connection = any(isinstance(cause, ConnectionError | TimeoutError) for cause in chain)
    is_gone = isinstance(error, FileNotFoundError) and status in (None, 404, 410)
    return Cause.GONE if is_gone and not is_connection and not _CONNECTIONS.search(names) else Cause.UNREACHABLE


def _options(protocol: str, address: str) -> dict:
    """Return fsspec's options for a web server: timeouts, and the proxy that the environment names.

    A whole download has no time limit, but a silent server has one. Return {} for other protocols.
    """
    if protocol not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
    return {"client_kwargs": {"timeout": timeout, "trust_env": not is_loopback(urlsplit(address).hostname or "")}}


def _status(error: BaseException) -> int | None:
    """Return the HTTP status in an error of aiohttp or botocore; None if the error has no HTTP status."""
    response = getattr(error, "response", None)
    of_response = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    status = getattr(error, "status", of_response)
    return status if isinstance(status, int) else None
