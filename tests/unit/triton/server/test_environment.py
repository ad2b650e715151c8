"""The environment variables of a server that Slipway starts."""

from slipway.triton.server.environment import ALLOCATION, server_environment
from slipway.triton.server.leftovers import owner_variable


def test_a_server_keeps_the_memory_of_requests_and_is_known_by_its_owner(monkeypatch):
    for name in ALLOCATION:
        monkeypatch.delenv(name, raising=False)
    assert server_environment("the-id") == ALLOCATION | owner_variable("the-id")


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "0")
    assert server_environment("the-id")["MALLOC_TRIM_THRESHOLD_"] == "0"
