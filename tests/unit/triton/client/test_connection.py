"""Addresses, TLS, and calls that are tried again."""

import pytest
import tritonclient.grpc as triton
from cryptography.hazmat.primitives.asymmetric import ec
from helpers.certificates import Authority, write_key
from tritonclient.utils import InferenceServerException

from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Connection, RequestFailed, Unreachable, is_transient
from slipway.triton.client.endpoint import Endpoint, Tls
from slipway.triton.client.ports import Ports

UNAVAILABLE, INVALID = "StatusCode.UNAVAILABLE", "StatusCode.INVALID_ARGUMENT"


# Addresses


@pytest.mark.parametrize(
    ("url", "host", "port", "written"),
    [
        ("gpu.example:9000", "gpu.example", 9000, "gpu.example:9000"),
        ("gpu.example", "gpu.example", 8001, "gpu.example:8001"),
        ("[::1]:8001", "::1", 8001, "[::1]:8001"),
    ],
)
def test_an_address_is_a_host_and_a_port(url, host, port, written):
    found = Endpoint.parse(url)
    assert (found.host, found.port, str(found)) == (host, port, written)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "host:port", "host:99999", ":8001", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(SlipwayError, match="write HOST:PORT"):
        Endpoint.parse(url)


# TLS


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


def test_files_that_belong_together_are_taken(authority):
    certificate, key = authority.issue("client")
    assert Tls(authority.file, certificate, key).certificate == certificate
    assert Tls().ca is None


def test_files_that_tls_cannot_use_are_named(authority, tmp_path):
    certificate, key = authority.issue("client")
    _, another_key = authority.issue("another")
    locked = write_key(tmp_path / "locked.key", ec.generate_private_key(ec.SECP256R1()), password=b"secret")
    for files, phrase in {
        (tmp_path / "none.pem", None, None): "--ca .*none.pem is no file",
        (key, None, None): "--ca .*client.key holds no certificate in PEM",
        (None, certificate, None): "--certificate needs --key beside it",
        (None, None, key): "--key needs --certificate beside it",
        (None, certificate, another_key): "no pair in PEM",
        (None, certificate, locked): "without a password",
    }.items():
        with pytest.raises(SlipwayError, match=phrase):
            Tls(*files)


# Calls


def failure(status, message="full"):
    return InferenceServerException(message, status=status)


@pytest.mark.parametrize(
    ("status", "message", "passes"),
    [
        (UNAVAILABLE, "Connection refused", True),
        (UNAVAILABLE, "Exceeds maximum queue size", True),
        ("StatusCode.RESOURCE_EXHAUSTED", "too many", True),
        ("StatusCode.NOT_FOUND", "Request for unknown model: 'm' has no available versions", True),
        (UNAVAILABLE, "Tls handshake failed (TSI_PROTOCOL_FAILURE)", False),
        ("StatusCode.RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)", False),
        ("StatusCode.NOT_FOUND", "Request for unknown model: 'm' is not found", False),
        ("StatusCode.DEADLINE_EXCEEDED", "Deadline Exceeded", False),
        (INVALID, "unexpected shape", False),
    ],
)
def test_only_what_may_pass_is_tried_again(status, message, passes):
    assert is_transient(failure(status, message)) is passes
    assert not is_transient(ValueError(message))


class Failing:
    """A method of a client that fails so often, then answers; it keeps the time that it was given each time."""

    def __init__(self, times, status=UNAVAILABLE, message="full"):
        self.times, self.error, self.given = times, failure(status, message), []

    def __call__(self, *arguments, client_timeout):
        self.given.append(client_timeout)
        if len(self.given) <= self.times:
            raise self.error
        return arguments


class Clock:
    """Stands still but for waits, which end at once."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """Let a call with its retries go by a clock of its own."""
    clock = Clock()
    for module in ("slipway.triton.client.connection", "tenacity", "tenacity.nap"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


def test_a_call_is_tried_again_with_what_is_left_of_its_deadline(clock):
    method = Failing(2)
    with Connection(Endpoint("127.0.0.1", Ports.free().grpc), deadline_s=20, retries=2) as connection:
        assert connection.call(method, "m", "1") == ("m", "1")
    first, second, third = method.given
    assert first == 20
    assert first >= second + 0.1
    assert second >= third + 0.2  # the waits become longer


@pytest.mark.parametrize(
    ("method", "retries", "deadline_s", "tries"),
    [(Failing(9), 2, 20, 3), (Failing(9), 100, 0.3, 2), (Failing(9, INVALID), 2, 20, 1), (Failing(9), 0, 20, 1)],
    ids=["retries", "deadline", "lasting", "no retries"],
)
def test_trying_again_ends(clock, monkeypatch, method, retries, deadline_s, tries):
    monkeypatch.setattr(triton.InferenceServerClient, "is_server_live", lambda *_, **__: True)
    with (
        Connection(Endpoint("127.0.0.1", 1), deadline_s, retries) as connection,
        pytest.raises(RequestFailed, match="the server refused the request: full"),
    ):
        connection.call(method)
    assert len(method.given) == tries


def test_a_message_that_is_too_large_says_to_send_less():
    method = Failing(9, "StatusCode.RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)")
    with Connection(Endpoint("127.0.0.1", 1)) as connection, pytest.raises(RequestFailed, match="with --batch"):
        connection.call(method)


@pytest.mark.parametrize(
    ("endpoint", "phrase"),
    [
        (Endpoint("127.0.0.1", Ports.free().grpc), "nothing listens there. Start the server"),
        (Endpoint("no-such-host.invalid"), "the host is not known"),
    ],
    ids=["refused", "unknown"],
)
def test_a_server_that_is_not_there_is_explained(endpoint, phrase):
    with Connection(endpoint) as connection, pytest.raises(Unreachable, match=phrase):
        connection.call(connection.client.is_model_ready, "m")
