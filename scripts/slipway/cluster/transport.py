"""Requests to a cluster's API through the official client, with timeouts and retries."""

import contextlib
import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity
import urllib3
from kubernetes import client

from slipway.cluster import api_errors
from slipway.cluster.api_errors import Refused, Request, Unauthorized, Unreachable
from slipway.cluster.refusals import why_unreachable
from slipway.core.errors import SlipwayError

APPLY, JSON = "application/apply-patch+yaml", "application/json"
# Metadata only, so that the content of a secret is never transferred.
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
VERSION = Request("/version", resource="the version")
# HTTP codes of transient failures, and the number of attempts.
TRANSIENT = (429, 500, 502, 503, 504)
ATTEMPTS = 4
# The longest outage of the API, such as during an upgrade of the cluster, and the interval of the checks.
OUTAGE_S = 60
PAUSE_S = 0.5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0

_backoff = tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S, jitter=FIRST_WAIT_S)


@dataclass(frozen=True)
class Transport:
    """The sender of requests to a cluster. `context` names the cluster in errors; `timeout_s` limits each request."""

    client: client.ApiClient
    context: str
    timeout_s: float

    def send(self, request: Request, **sent: Any) -> Any:
        """Send a request, and return the API's answer: parsed JSON, or else text.

        `sent` has the keyword arguments query, body and accept of `opened`. After a transient failure, the request is
        sent again. Raises Refused or Unreachable with the reason. Raises Refused also if an answer of type JSON is not
        JSON.
        """
        response = self.opened(request, **sent)
        try:
            text = response.data.decode("utf-8", errors="replace")
            return json.loads(text) if "json" in response.headers.get("Content-Type", JSON) else text
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.explained(error, request) from None
        except ValueError:
            raise Refused(f"{self.context} answers to {request} with no JSON: is it a Kubernetes API?") from None

    def opened(
        self, request: Request, query: dict | None = None, body: Any = None, accept: str = JSON
    ) -> urllib3.HTTPResponse:
        """Send a request, and return the response before its body is read.

        `query` has the parameters in the address, {name: text}, `body` the object to send, and `accept` the content
        type of the answer. After a transient failure the request is sent again, so the request must be safe to repeat.
        Raises Refused or Unreachable with the reason.
        """
        retry, stop = tenacity.retry_if_exception(_is_transient), tenacity.stop_after_attempt(ATTEMPTS)
        retrying = tenacity.Retrying(retry=retry, stop=stop, wait=_wait, reraise=True)
        try:
            return retrying(
                self.client.call_api,
                request.path,
                request.method,
                query_params=list((query or {}).items()),
                header_params={"Content-Type": APPLY if request.verb == "patch" else JSON, "Accept": accept},
                body=body,
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _preload_content=False,
                # The client ignores a timeout that is a single float.
                _request_timeout=(self.timeout_s, self.timeout_s),
            )
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self.explained(error, request) from None

    def explained(self, error: Exception, request: Request) -> SlipwayError:
        """Return the exception that explains the failure of a request: the cause and the remedy in a sentence.

        `error` is an exception of the official client or of the network.
        """
        if isinstance(error, client.ApiException) and error.status:
            return api_errors.refusal(error, request, self.context)
        reason = why_unreachable(error, request, self.timeout_s)
        return Unreachable(f"the cluster {self.context} ({self.client.configuration.host}) {reason}")

    def now(self) -> float:
        """Return the API server's time in seconds since the epoch. All deploying machines share this clock."""
        response = self.opened(VERSION)
        response.drain_conn()
        date = response.headers.get("Date")
        return parsedate_to_datetime(date).timestamp() if date else time.time()

    def await_answer(self) -> None:
        """Wait until the API answers; raise the last error if the outage lasts longer than OUTAGE_S.

        A starting API forbids everything until it knows the roles, so a refusal counts as an outage, too.
        """
        away = tenacity.retry_if_exception_type((Unreachable, Refused))
        accepted = tenacity.retry_if_not_exception_type(Unauthorized)
        stop, wait = tenacity.stop_after_delay(OUTAGE_S), tenacity.wait_fixed(PAUSE_S)
        tenacity.Retrying(retry=away & accepted, stop=stop, wait=wait, reraise=True)(self.now)


def _is_transient(error: BaseException) -> bool:
    """Say whether the same request may succeed after this error if it is sent again."""
    if isinstance(error, client.ApiException):
        return error.status in TRANSIENT and not api_errors.is_malformed(error)
    return isinstance(error, urllib3.exceptions.ProtocolError)


def _wait(state: tenacity.RetryCallState) -> float:
    """Return the seconds until the next attempt: the API's Retry-After, or without Retry-After a growing time."""
    error = state.outcome.exception() if state.outcome else None
    headers = getattr(error, "headers", None) or {}
    with contextlib.suppress(ValueError, KeyError):
        return min(float(headers["Retry-After"]), LONGEST_WAIT_S)
    return _backoff(state)
