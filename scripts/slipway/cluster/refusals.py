"""Explain in sentences why a cluster's API refuses a request or does not answer, and give the remedy."""

import re
import ssl
from pathlib import Path

import urllib3.exceptions as http

from slipway.core.errors import causes
from slipway.core.templates import document

# This module only explains errors, so no build key contains its code.
PART_OF_KEYS = False
TEMPLATE = Path(__file__).with_name("refusals.txt.j2")


def why_refused(code: int, status: dict, request: object, is_malformed: bool) -> str:
    """Return text on why the API refused a request, with the remedy, for the message of an exception.

    `code` and `status` are the HTTP code and the Status object of the API's answer, {"message", perhaps "details"}.
    `request` is the `Request`. `is_malformed` says that the object itself has an unknown field or an invalid value.
    """
    message, stated = status["message"].rstrip("."), (status.get("details") or {}).get("causes") or []
    conflicts = [cause for cause in stated if cause.get("reason") == "FieldManagerConflict"]
    managers = [re.search(r'conflict with "([^"]+)"', cause.get("message", "")) for cause in conflicts]
    owned = [
        f"{cause.get('field', 'a field')} is set by {manager[1] if manager else 'another manager'}"
        for cause, manager in zip(conflicts, managers, strict=True)
    ]
    values = {
        **{"code": code, "message": message, "request": request, "owned": dict.fromkeys(owned)},
        "places": [f"{cause['field']}: {cause.get('message', 'invalid')}" for cause in stated if cause.get("field")],
        "is_policy": not re.search(r"\bcannot\b", message),
        "is_malformed": is_malformed,
    }
    return document(TEMPLATE, values).strip().replace("\n", " ")


def why_unreachable(error: Exception, request: object, timeout_s: float) -> str:
    """Return text on why the API does not answer, with the remedy, for the message of an exception.

    The reason comes from `error` and its causes. `request` is the `Request`, and `timeout_s` its timeout in seconds.
    """
    chain = causes(error)
    message = " ".join(str(link) for link in chain)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    if has(http.SSLError, ssl.SSLError) or "SSLError" in message:
        return f"cannot be trusted over TLS: {_tls(message)}"
    if has(ConnectionRefusedError) or "refused" in message:
        return "refuses connections: nothing listens there. Start the cluster or the tunnel to it, or choose another"
    if has(http.NameResolutionError):
        return "has a name that is not known here. Correct the kubeconfig, or connect to the network that knows it"
    if has(http.TimeoutError, TimeoutError) or "timed out" in message:
        return f"gave no answer within {timeout_s:g} s ({request}). Is its network reachable from here (VPN)?"
    return f"cannot be reached ({type(chain[-1]).__name__}). Is its network reachable from here (VPN)?"


def _tls(message: str) -> str:
    if "hostname" in message.lower() or "doesn't match" in message or "IP address mismatch" in message:
        return "its certificate is for another name; correct `server` or `tls-server-name` in the kubeconfig"
    if "expired" in message:
        return "its certificate has expired; have it renewed, or fetch a new kubeconfig"
    if "certificate verify failed" in message:
        return "its certificate is not signed by the kubeconfig's authority; fetch a new kubeconfig"
    if "WRONG_VERSION_NUMBER" in message or "RECORD_LAYER" in message:
        return "it does not speak TLS; correct `server` in the kubeconfig"
    return "the handshake failed; see whether this is the right server and whether your client certificate is valid"
