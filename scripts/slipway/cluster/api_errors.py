"""Errors of a cluster's API as sentences: the problem, the place, and the remedy."""

import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import urllib3.exceptions as http
from kubernetes.client import ApiException

from slipway.core.errors import SlipwayError

# The API server's error for an object that is not of its stated kind. It has the code 500.
MALFORMED = ("failed to create typed patch object", "failed to convert new object")
NO_NAMESPACE = ". Make it with `kubectl create namespace`, or correct `deploy.cluster.namespace`"


class Unreachable(SlipwayError):
    """No API answers, so further requests are useless."""


class Refused(SlipwayError):
    """The API answered with an error; `code` is its HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Asked:
    """A request to a cluster, for messages: "patch", "deployments.apps", "serving", "Deployment resnet50"."""

    context: str
    host: str
    timeout_s: float
    verb: str = "get"
    resource: str = ""
    namespace: str | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.name or self.resource}".strip()


def explained(error: Exception, asked: Asked) -> SlipwayError:
    """Return the error of a request as a sentence."""
    if isinstance(error, ApiException) and error.status:
        return Refused(_refused(error.status, status_of(error), asked), error.status)
    return Unreachable(f"the cluster {asked.context} ({asked.host}) {_unreachable(error, asked)}")


def status_of(error: ApiException) -> dict:
    """Return the Status object in the API's answer, or its nearest substitute."""
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


def _refused(code: int, status: dict, asked: Asked) -> str:
    """Return why the API refused a request."""
    told = status["message"].rstrip(".")
    if code == 401:
        return (
            f"{asked.context} does not accept your credentials (401): they have expired or were withdrawn. Log in to "
            "the cluster again, or fetch a new kubeconfig from its provider"
        )
    if code == 403:
        return f"{asked.context} does not allow to {asked}: {told}. {_allowed(told, asked)}"
    if code == 409:
        return f"{asked.context} refuses to {asked}: {_conflict(status, told)}"
    if code in (400, 422) or told.startswith(MALFORMED):
        return f"{asked.context} does not take {asked.name or asked.resource}: {_invalid(status, told)}"
    if code == 429:
        return f"{asked.context} has too many requests to {asked} (429: {told}). Try again in some minutes"
    if code >= 500:
        return (
            f"{asked.context} failed to {asked} ({code}: {told}), and did so again when asked once more. Try again "
            "later, or see what the cluster's own logs say"
        )
    advice = NO_NAMESPACE if code == 404 and told.startswith("namespaces ") else ""
    return f"{asked.context} refuses to {asked} ({code}: {told}){advice}"


def _allowed(told: str, asked: Asked) -> str:
    """Return the remedy for a forbidden request: a role grants rights, anything else is a policy of the cluster."""
    if "quota" in told:
        return "Free some of the namespace's quota, or have it raised"
    if "because it is being terminated" in told:
        return "The namespace is being deleted: wait until it is gone and make it again, or choose another"
    if not re.search(r"\bcannot\b", told):
        return "It is a policy of the cluster: ask those who run it"
    where = f" --namespace {asked.namespace}" if asked.namespace else ""
    return f"Ask those who run it for the right; `kubectl auth can-i {asked.verb} {asked.resource}{where}` says when"


def _conflict(status: dict, told: str) -> str:
    """Return which manager owns which field, or the other reason of a conflict."""
    owned = [
        f"{cause.get('field', 'a field')} is set by {_manager(cause.get('message', ''))}"
        for cause in _causes(status)
        if cause.get("reason") == "FieldManagerConflict"
    ]
    # The API may say the same twice.
    owned = list(dict.fromkeys(owned))
    if not owned:
        return f"{told}. It was changed at the same time; run again"
    return (
        f"{'; '.join(owned)}. Stop the other from setting it, or take it over: `kubectl apply --server-side "
        "--force-conflicts --field-manager=slipway -f` with the manifest"
    )


def _manager(message: str) -> str:
    found = re.search(r'conflict with "([^"]+)"', message)
    return found[1] if found else "another manager"


def _invalid(status: dict, told: str) -> str:
    places = [f"{cause['field']}: {cause.get('message', 'invalid')}" for cause in _causes(status) if cause.get("field")]
    older = ", or upgrade a cluster that is too old to know it" if told.startswith(MALFORMED) else ""
    return f"{'; '.join(places) or told}. Correct `deploy` in config.yaml{older}"


def _causes(status: dict) -> list[dict]:
    return (status.get("details") or {}).get("causes") or []


def _unreachable(error: Exception, asked: Asked) -> str:
    """Return why nothing answers, from the innermost of the chained errors."""
    chain = list(_chain(error))
    told = " ".join(str(each) for each in chain)
    if _is(chain, http.SSLError, ssl.SSLError) or "SSLError" in told:
        return f"cannot be trusted over TLS: {_tls(told)}"
    if _is(chain, ConnectionRefusedError) or "refused" in told:
        return "refuses connections: nothing listens there. Start the cluster or the tunnel to it, or choose another"
    if _is(chain, http.NameResolutionError):
        return "has a name that is not known here. Correct the kubeconfig, or connect to the network that knows it"
    if _is(chain, http.TimeoutError, TimeoutError) or "timed out" in told:
        return f"gave no answer within {asked.timeout_s:g} s ({asked}). Is its network reachable from here (VPN)?"
    return f"cannot be reached ({type(chain[-1]).__name__}). Is its network reachable from here (VPN)?"


def _tls(told: str) -> str:
    if "hostname" in told.lower() or "doesn't match" in told or "IP address mismatch" in told:
        return "its certificate is for another name; correct `server` or `tls-server-name` in the kubeconfig"
    if "expired" in told:
        return "its certificate has expired; have it renewed, or fetch a new kubeconfig"
    if "certificate verify failed" in told:
        return "its certificate is not signed by the kubeconfig's authority; fetch a new kubeconfig"
    if "WRONG_VERSION_NUMBER" in told or "RECORD_LAYER" in told:
        return "it does not speak TLS; correct `server` in the kubeconfig"
    return "the handshake failed; see whether this is the right server and whether your client certificate is valid"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        reason = getattr(error, "reason", None)
        error = reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__


def _is(chain: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in chain)
