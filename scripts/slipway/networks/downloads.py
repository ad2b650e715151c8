"""Limit the time that a model's code waits for a download, and find the address of a failed download."""

import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.core.errors import causes

TIMEOUT_S = 20
_ADDRESSES = ("url", "fullurl", "req", "request", "repo_id", "host")


@contextmanager
def download_timeout() -> Iterator[None]:
    """Context manager: in the block, each new connection waits at most TIMEOUT_S seconds for an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def attempted_download(error: BaseException) -> str | None:
    """Return the address of a failed download; None if the address is unknown, or if no download failed.

    Libraries keep the address in the exception, or only in the variables of the functions that raised the exception.
    """
    chain = causes(error)
    if not any(_is_download_error(cause) for cause in chain):
        return None
    frames = [frame for cause in chain for frame, _ in traceback.walk_tb(cause.__traceback__)]
    candidates = [getattr(cause, name, None) for cause in chain for name in _ADDRESSES]
    candidates += [frame.f_locals.get(name) for frame in frames for name in _ADDRESSES]
    addresses = [address for candidate in candidates if (address := _address(candidate))]
    return next((address for address in addresses if "://" in address), next(iter(addresses), None))


def _is_download_error(error: BaseException) -> bool:
    """Return whether an exception is about a failed download. Exceptions of other libraries are recognised by name."""
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return True
    of_libraries = {"URLError", "RequestException", "HTTPError", "OfflineModeIsEnabled", "LocalEntryNotFoundError"}
    return any(kind.__name__ in of_libraries for kind in type(error).__mro__)


def _address(candidate: object) -> str | None:
    """Return `candidate` if it is text, the URL of `candidate` if it is a request, else None."""
    values = (candidate, getattr(candidate, "full_url", None), getattr(candidate, "url", None))
    return next((value for value in values if isinstance(value, str) and value), None)
