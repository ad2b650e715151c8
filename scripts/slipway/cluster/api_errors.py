"""Errors of a cluster's API as sentences: the problem, the place, and the remedy."""

import json
import re
import ssl
from dataclasses import dataclass

import urllib3.exceptions as http
from kubernetes.client import ApiException

from slipway.core.errors import SlipwayError, causes

# The API server's error for an object that is not of its stated kind. It has the code 500.
MALFORMED = ("failed to create typed patch object", "failed to convert new object")
NO_NAMESPACE = ". Make it with `kubectl create namespace`, or correct `deploy.cluster.namespace`"


class Unreachable(SlipwayError):
    """No API answers, so further requests are useless."""


class Refused(SlipwayError):
    """The API answered with an error. Frequent errors have subclasses."""


class Unauthorized(Refused):
    """The API does not accept the credentials (401)."""


class Forbidden(Refused):
    """The user may not do this, or a policy or quota forbids it (403)."""


class NotFound(Refused):
    """The object, its kind or its namespace does not exist (404)."""


class Conflict(Refused):
    """The object exists already, was changed, or has a field that another manager owns (409)."""


_CLASSES = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict}


# The HTTP methods of the API's verbs; the others read.
METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}


@dataclass(frozen=True)
class Request:
    """A request to a cluster: its path and verb, and for messages its resource, namespace and name.

    For example verb "patch", resource "deployments.apps", namespace "serving", name "Deployment tiny".
    """

    path: str
    verb: str = "get"
    resource: str = ""
    namespace: str | None = None
    name: str = ""

    @property
    def method(self) -> str:
        """Return the HTTP method."""
        return METHODS.get(self.verb, "GET")

    def __str__(self) -> str:
        return f"{self.verb} {self.name or self.resource}".strip()


def refusal(error: ApiException, request: Request, context: str) -> Refused:
    """Return the exception for the API's refusal of a request, with a sentence."""
    reason = _why_refused(error.status, status_of(error), request)
    return _CLASSES.get(error.status, Refused)(f"{context} {reason}")


def status_of(error: ApiException) -> dict:
    """Return the Status object in the API's answer; {"message": text of the answer} if there is none."""
    body = error.body.decode("utf-8", errors="replace") if isinstance(error.body, bytes) else error.body or ""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("message"):
        return status
    return {"message": " ".join(body.split())[:200] or error.reason or f"HTTP {error.status}"}


def is_malformed(error: ApiException) -> bool:
    """Say whether the object itself is at fault: it has an unknown field or an invalid value."""
    return error.status == 500 and status_of(error)["message"].startswith(MALFORMED)


def _why_refused(code: int, status: dict, request: Request) -> str:
    message = status["message"].rstrip(".")
    if code == 401:
        return (
            "does not accept your credentials (401): they have expired or were withdrawn. Log in to the cluster again, "
            "or fetch a new kubeconfig from its provider"
        )
    if code == 403:
        return f"does not allow to {request}: {message}. {_allowed(message, request)}"
    if code == 409:
        return f"refuses to {request}: {_conflict(status, message)}"
    if code in (400, 422) or message.startswith(MALFORMED):
        return f"does not take {request.name or request.resource}: {_invalid(status, message)}"
    if code == 429:
        return f"has too many requests to {request} (429: {message}). Try again in some minutes"
    if code >= 500:
        return (
            f"failed to {request} ({code}: {message}), also when it was tried once more. "
            "Try again later, or see what the cluster's own logs say"
        )
    advice = NO_NAMESPACE if code == 404 and message.startswith("namespaces ") else ""
    return f"refuses to {request} ({code}: {message}){advice}"


def _allowed(message: str, request: Request) -> str:
    """Return the remedy for a forbidden request: a role grants rights, anything else is a policy of the cluster."""
    if "quota" in message:
        return "Free some of the namespace's quota, or have it raised"
    if "because it is being terminated" in message:
        return "The namespace is being deleted: wait until it is gone and make it again, or choose another"
    if not re.search(r"\bcannot\b", message):
        return "It is a policy of the cluster: ask those who run it"
    where = f" --namespace {request.namespace}" if request.namespace else ""
    return (
        f"Ask those who run it for the right; `kubectl auth can-i {request.verb} {request.resource}{where}` says when"
    )


def _conflict(status: dict, message: str) -> str:
    """Return which manager owns which field, or the other reason of a conflict."""
    owned: dict[str, None] = {}  # without duplicates, in the API's order
    for cause in _causes(status):
        if cause.get("reason") == "FieldManagerConflict":
            manager = re.search(r'conflict with "([^"]+)"', cause.get("message", ""))
            owner = manager[1] if manager else "another manager"
            owned[f"{cause.get('field', 'a field')} is set by {owner}"] = None
    if not owned:
        return f"{message}. It was changed at the same time; run again"
    return (
        f"{'; '.join(owned)}. Stop the other from setting it, or take it over: `kubectl apply --server-side "
        "--force-conflicts --field-manager=slipway -f` with the manifest"
    )


def _invalid(status: dict, message: str) -> str:
    places = [f"{cause['field']}: {cause.get('message', 'invalid')}" for cause in _causes(status) if cause.get("field")]
    older = ", or upgrade a cluster that is too old to know it" if message.startswith(MALFORMED) else ""
    return f"{'; '.join(places) or message}. Correct `deploy` in config.yaml{older}"


def _causes(status: dict) -> list[dict]:
    return (status.get("details") or {}).get("causes") or []


def why_unreachable(error: Exception, request: Request, timeout_s: float) -> str:
    """Return why nothing answers within `timeout_s` seconds, from the innermost of the chained errors."""
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
