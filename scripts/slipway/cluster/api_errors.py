"""Requests to a cluster's API, and the exceptions for its errors."""

import json
from dataclasses import dataclass

from kubernetes.client import ApiException

from slipway.cluster.refusals import why_refused
from slipway.core.errors import SlipwayError

# The beginnings of the API server's message about an object with an unknown field or a wrong type. The code is 500.
MALFORMED = ("failed to create typed patch object", "failed to convert new object")


class Unreachable(SlipwayError):
    """The API does not answer, so further requests would fail, too."""


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


# The HTTP methods of the API's verbs. All other verbs read, so their method is GET.
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
        """Return the HTTP method of the verb, such as "PATCH"."""
        return METHODS.get(self.verb, "GET")

    def __str__(self) -> str:
        return f"{self.verb} {self.name or self.resource}".strip()


def refusal(error: ApiException, request: Request, context: str) -> Refused:
    """Return the exception for a request that the API refused, with a message on the reason and the remedy.

    `context` is the cluster's name in the kubeconfig, for the message. The type of the exception follows from the HTTP
    code.
    """
    status = status_of(error)
    reason = why_refused(error.status, status, request, status["message"].startswith(MALFORMED))
    return _CLASSES.get(error.status, Refused)(f"{context} {reason}")


def status_of(error: ApiException) -> dict:
    """Return the reason that the API gave with an error: the Status object of its answer, with at least "message".

    If the answer is no Status, return {"message": text of the answer}.
    """
    body = error.body.decode("utf-8", errors="replace") if isinstance(error.body, bytes) else error.body or ""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("message"):
        return status
    return {"message": " ".join(body.split())[:200] or error.reason or f"HTTP {error.status}"}


def is_malformed(error: ApiException) -> bool:
    """Say whether an API error blames the object itself: it has an unknown field or an invalid value.

    Then a repetition of the request cannot succeed.
    """
    return error.status == 500 and status_of(error)["message"].startswith(MALFORMED)
