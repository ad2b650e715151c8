"""A model that is taken out of service leaves the others of its server; test_deploy.py does it with a real one."""

from helpers.artifacts.receipts import local_receipt
from helpers.models import parts

import withdraw
from slipway.core.artifacts import write_json
from slipway.deploy.ledger import DEPLOYMENT
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.release_history import ReleaseHistory


def test_a_deployment_leaves_the_other_models_of_the_server_and_a_withdrawal_takes_out_its_own(tmp_path):
    store = ModelStore(tmp_path / ".server")
    receipts = {model: tmp_path / model / "deploy" / "receipt.json" for model in ("kept", "dropped")}
    for model, receipt in receipts.items():
        store.enter(f"{model}_trt", 1, {})
        write_json(receipt, local_receipt(model))
    kept, dropped = (ReleaseHistory(store, [receipt]) for receipt in receipts.values())
    kept.begin(parts.release(parts.part({"name": "kept_trt"}, number=2, model="kept")), {}, DEPLOYMENT)
    begun = kept.pending()
    assert (begun.versions, begun.withdrawn) == ({"kept_trt": 2, "dropped_trt": 1}, [])
    assert list(begun.receipts) == [receipts["kept"].as_posix()]
    dropped.begin(dropped.without(), {}, DEPLOYMENT)
    begun = dropped.pending()
    assert (begun.versions, begun.receipts) == ({"kept_trt": 1}, {})
    assert begun.withdrawn == [receipts["dropped"].as_posix()]


def test_a_model_that_is_not_live_is_told_and_nothing_changes(tmp_path, capsys):
    write_json(tmp_path / "live" / "deploy" / "receipt.json", local_receipt("live"))
    options = ["--results", str(tmp_path / "other"), "--state", str(tmp_path / ".server")]
    withdraw.main(withdraw.parse_arguments(options))
    assert "nothing of other is deployed to local from this checkout" in capsys.readouterr().err
    assert (tmp_path / "live" / "deploy" / "receipt.json").exists()
