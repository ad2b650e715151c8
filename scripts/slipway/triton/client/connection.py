"""Connections to a Triton server's gRPC API: TLS, deadlines, retries, and errors explained in sentences."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import tritonclient.grpc as grpc
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay, wait_exponential_jitter
from tritonclient.utils import InferenceServerException

from slipway.core.errors import SlipwayError
from slipway.triton.client.connectivity import why_unreachable
from slipway.triton.client.endpoint import Endpoint
from slipway.triton.server.restricted_apis import REFUSAL

# gRPC waits 1 s and then ever longer before it connects again, so retries in between would fail. "min" keeps its value:
# it also limits the time of one attempt, and a busy machine sometimes needs its 20 s.
RECONNECT_MS = {"initial": 100, "max": 1000}
# Status codes of transient errors: no connection, a full queue, a model that is loading.
TRANSIENT = {"StatusCode.UNAVAILABLE", "StatusCode.RESOURCE_EXHAUSTED"}
# Triton's message, with the code NOT_FOUND, for a model that is unloaded or reloaded, as when a server ends.
UNLOADED = "has no available versions"
# An error with one of these texts is permanent: wrong certificates, a message larger than the limit of a server or
# proxy, or an API that needs the server's key.
PERMANENT = ("handshake failed", "larger than max", REFUSAL)
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
# Timeout of the request that tests, after a request without an answer, whether the server is live.
LIVENESS_S = 2.0


class Unreachable(SlipwayError):
    """The error if no Triton answers at the endpoint. Further requests would fail, too."""


class RequestFailed(SlipwayError):
    """The error if the server is reachable, but one request failed."""


class Restricted(RequestFailed):
    """The error if the server answers requests to an API, such as loading models, only with a key."""


class Deadline:
    """A time limit of `seconds` for several calls together: each call may use the time that remains."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left_s(self) -> float:
        """Return the remaining time in seconds, at least 0."""
        return max(0.0, self._end - time.monotonic())


def connect(endpoint: Endpoint) -> grpc.InferenceServerClient:
    """Return tritonclient's client of an endpoint. The client connects at its first call, and never through a proxy."""
    options: list[tuple[str, int | str]] = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
    options += [(f"grpc.{which}_reconnect_backoff_ms", wait) for which, wait in RECONNECT_MS.items()]
    settings: dict[str, bool | str] = {}
    if tls := endpoint.tls:
        options += [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []
        files = {"root_certificates": tls.ca, "certificate_chain": tls.certificate, "private_key": tls.key}
        settings = {"ssl": True} | {name: str(file) for name, file in files.items() if file}
    return grpc.InferenceServerClient(str(endpoint), channel_args=options, **settings)


class Connection(AbstractContextManager):
    """Calls to one server, with a deadline, with retries after transient errors, and with errors as SlipwayError.

    `deadline_s`, in seconds, covers a call with all its retries and the waits between the retries. `retries` is the
    largest number of repetitions of a failed call; with 0, no call is repeated.
    """

    def __init__(self, endpoint: Endpoint, deadline_s: float = 30.0, retries: int = 0) -> None:
        self.endpoint = endpoint
        self.client = connect(endpoint)
        self._deadline_s = deadline_s
        self._retries = retries

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def call(self, method: Callable[..., Any], *arguments: object) -> Any:
        """Call a method of `client`, tritonclient's client, with `arguments`, and return its result.

        The call is repeated after transient errors, until the deadline ends. Raises Unreachable if no Triton answers.
        Raises RequestFailed if Triton answers, but the call still fails.
        """
        deadline = Deadline(self._deadline_s)
        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            stop=stop_after_attempt(1 + self._retries) | stop_before_delay(self._deadline_s),
            wait=wait_exponential_jitter(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S, jitter=FIRST_WAIT_S),
            reraise=True,
        )
        try:
            return retrying(lambda: method(*arguments, client_timeout=deadline.left_s()))
        except InferenceServerException as error:
            raise self._explained(error) from None

    def _explained(self, error: InferenceServerException) -> SlipwayError:
        late = error.status() == "StatusCode.DEADLINE_EXCEEDED"
        if (late or error.status() == "StatusCode.UNAVAILABLE") and not self._is_there():
            why = why_unreachable(self.endpoint) or f"gRPC says: {error.message()}"
            return Unreachable(f"no Triton answers at {self.endpoint}: {why}")
        if late:
            return RequestFailed(
                f"no answer within {self._deadline_s * 1e3:.0f} ms; allow more with --deadline-ms, or see whether the "
                "server is overloaded"
            )
        if "larger than max" in error.message():
            return RequestFailed(f"the request is too large ({error.message()}); send less at a time, with --batch")
        kind = Restricted if REFUSAL in error.message() else RequestFailed
        return kind(f"the server refused the request: {error.message()}")

    def _is_there(self) -> bool:
        with suppress(InferenceServerException):
            self.client.is_server_live(client_timeout=LIVENESS_S)
            return True
        return False


@contextmanager
def errors_as(problem: str) -> Iterator[None]:
    """Context manager: if a call to Triton fails in the block, raise SlipwayError: `problem`, then Triton's reason."""
    try:
        yield
    except InferenceServerException as error:
        raise SlipwayError(f"{problem}: {error.message()}") from None


def is_transient(error: BaseException) -> bool:
    """Say whether a call that failed with `error` may succeed if it is repeated.

    An inference may be repeated, too, because it changes no state of the server.
    """
    if not isinstance(error, InferenceServerException):
        return False
    if error.status() not in TRANSIENT:
        return UNLOADED in error.message()
    return not any(words in error.message() for words in PERMANENT)
