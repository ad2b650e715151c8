"""Which versions were live together, in which order, and what a rollback goes back to."""

import pytest

from slipway.deploy.ledger import RUN, Ledger
from slipway.snakemake_hooks import surviving_jobs


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "live.json")


def test_what_was_live_before_is_gone_back_to_once(ledger):
    assert (ledger.live(), ledger.before({"m": 1})) == ({}, None)
    for number in (1, 2, 1, 4):  # 3 was refused; 1 was deployed again
        ledger.went_live({"m": number})
    assert ledger.before({"m": 4}) == {"m": 1}
    ledger.rolled_back({"m": 4})
    assert ledger.before({"m": 1}) == {"m": 2}
    ledger.went_live({"m": 5})
    assert ledger.before({"m": 5}) == {"m": 1}, "4 was rolled back"


def test_of_models_that_are_live_together_only_those_go_back_that_changed(ledger):
    for versions in ({"m": 1, "n": 1}, {"m": 1, "n": 2}, {"m": 2, "n": 2}, {"m": 2, "n": 2, "new": 1}):
        ledger.went_live(versions)
    assert ledger.before({"m": 2, "n": 2, "new": 1}) == {"m": 2, "n": 2}
    assert ledger.before({"m": 2, "n": 2}) == {"m": 2, "n": 2, "new": 1}, "a model left out since comes back"
    ledger.rolled_back({"m": 2, "n": 2, "new": 1})
    assert ledger.before({"m": 2, "n": 2}) == {"m": 1, "n": 2}
    assert ledger.last_of("n", 1) == [2]
    assert sorted(ledger.last_of("n", 9)) == [1, 2]


def test_the_deployments_of_one_run_of_snakemake_are_one_step(ledger, monkeypatch):
    assert RUN == surviving_jobs.VARIABLE
    for run, live in [("1", {"a": 1}), ("1", {"a": 1, "b": 1}), ("2", {"a": 2, "b": 1}), ("2", {"a": 2, "b": 2})]:
        monkeypatch.setenv(RUN, run)
        ledger.went_live(live)
    assert ledger.before(ledger.live()) == {"a": 1, "b": 1}
    ledger.rolled_back(ledger.live(), {"a": 1, "b": 1})
    assert ledger.read()["live"] == [{"a": 1, "b": 1}]
    ledger.went_live({"a": 3, "b": 1})
    assert ledger.before(ledger.live()) == {"a": 1, "b": 1}
