"""The short load before a switch: what it counts, and what it refuses."""

import numpy as np
import pytest
from helpers.models.ready_client import ReadyClient

from slipway.core.errors import SlipwayError
from slipway.load_test import latency_check
from slipway.triton.client.grpc_client import Answer
from slipway.triton.client.ports import Ports

REQUEST = {"input": np.zeros((1, 3, 4, 4), np.float32)}


class Client(ReadyClient):
    """Takes 500 ms for the first request, which connects, and 2 ms for each of the others."""

    def __init__(self, *_):
        self.connected = False

    def infer(self, request):
        latency_ms = 2.0 if self.connected else 500.0
        self.connected = True
        return Answer(request, latency_ms, "1")


@pytest.fixture(autouse=True)
def _served(monkeypatch):
    monkeypatch.setattr(latency_check, "ModelClient", Client)


def test_connecting_counts_for_nothing():
    found = latency_check.canary(Ports(1, 2, 3), "m", REQUEST, in_flight=4, p99_limit_ms=10)
    assert found == {"requests": latency_check.REQUESTS, "in_flight": 4, "p99_ms": 2.0, "limit_ms": 10}


def test_without_a_limit_the_latency_is_only_measured():
    found = latency_check.canary(Ports(1, 2, 3), "m", REQUEST, in_flight=1, p99_limit_ms=None)
    assert (found["p99_ms"], found["limit_ms"]) == (2.0, None)


def test_a_model_that_does_not_hold_the_limit_is_refused():
    with pytest.raises(SlipwayError, match=r"p99 2 ms at 1 in flight, above the limit of 1 ms"):
        latency_check.canary(Ports(1, 2, 3), "m", REQUEST, in_flight=1, p99_limit_ms=1)
