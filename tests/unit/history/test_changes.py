"""What becomes live, or is not any more, is in the history of its model, whichever command did it."""

from dataclasses import asdict

import pytest
from helpers.artifacts import runs

from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.ledger import DEPLOYMENT, ROLLBACK, Rollout
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.receipts import read_receipt
from slipway.deploy.release_history import ReleaseHistory
from slipway.history.file import read

# The parts of a receipt that only other programs read.
MORE = {"origin": "checkpoint", "place": {}, "contents": {}, "published": {}}
LINE = runs.run(1)


def receipt_of(model, number=1, **more):
    """Return a whole receipt of a model."""
    found = runs.receipt(LINE, number, **MORE, **more)
    found["targets"]["cpu"]["engine_key"] = {}
    return found | {"model": model, "served_as": f"{model}_trt"}


@pytest.fixture
def history(tmp_path, monkeypatch):
    """Return the release history of two live models."""
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / f"results/{model}/deploy/receipt.json" for model in ("kept", "dropped")]
    for path in paths:
        path.parent.mkdir(parents=True)
        write_json(path, receipt_of(path.parents[1].name))
        assert read_receipt(path)
    (tmp_path / "results/.server/published").mkdir(parents=True)
    return ReleaseHistory(ModelStore(tmp_path / "results/.server"), paths)


def entry_of(model, more):
    """Return what a rollout has about a receipt to write."""
    return {"model": model, "served_as": f"{model}_trt", "targets": ["cpu"], "more": more}


def begin(history, action, receipts=(), withdrawn=()):
    """Record that a rollout was begun."""
    entries = {str(path): entry_of(path.parents[1].name, more) for path, more in receipts}
    rollout = Rollout(action, {"kept_trt": 1}, {}, entries, [str(path) for path in withdrawn])
    history.store.ledger.write(rollout=asdict(rollout))


def actions(path):
    """Return what the history beside a receipt has."""
    return [(each.action, each.number) for each in read(path.parents[1] / "history.jsonl").deployments]


def test_a_deployment_and_a_rollback_are_recorded_with_their_receipts(history):
    kept, dropped = history.receipts
    begin(history, DEPLOYMENT, [(kept, {})])
    history.record({"kept": receipt_of("kept", 2)})
    begin(history, ROLLBACK, [(kept, {"rolled_back_from": 2})])
    history.record({"kept": receipt_of("kept", 1, when="2026-01-06T10:00:00+00:00")})
    assert actions(kept) == [("deployed", 2), ("rolled_back", 1)]
    assert actions(dropped) == []


def test_a_model_that_is_withdrawn_is_recorded_also_if_its_receipt_was_lost(history):
    kept, dropped = history.receipts
    history.store.ledger.write(receipts={str(dropped): receipt_of("dropped")})
    begin(history, DEPLOYMENT, withdrawn=[dropped])
    dropped.unlink()
    history.record({})
    assert actions(dropped) == [("undeployed", None)]
    assert actions(kept) == []


def test_all_that_is_undeployed_is_recorded(history):
    history.undeployed()
    assert [actions(path) for path in history.receipts] == [[("undeployed", None)]] * 2
    assert not any(path.exists() for path in history.receipts)


def test_a_full_disk_leaves_the_rollout_to_the_next_command(history, monkeypatch):
    kept, _ = history.receipts
    begin(history, DEPLOYMENT, [(kept, {})])

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("slipway.history.changes.append", full)
        with pytest.raises(SlipwayError, match="the disk is full"):
            history.record({"kept": receipt_of("kept", 2)})
    assert history.pending() is not None
    history.record({"kept": receipt_of("kept", 2)})
    assert actions(kept) == [("deployed", 2)]
    assert history.pending() is None
