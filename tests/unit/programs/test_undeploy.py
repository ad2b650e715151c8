"""Which receipts `undeploy` removes: also those of models that the server has and config.yaml has no longer."""

import pytest
from helpers.artifacts.receipts import local_receipt
from helpers.models import parts

import undeploy
from slipway.core.artifacts import write_json
from slipway.deploy.ledger import DEPLOYMENT
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.release_history import ReleaseHistory
from slipway.deploy.release_store import ReleaseStore


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with the receipts of three models, of which the server there had two."""
    monkeypatch.chdir(tmp_path)
    for model in ("kept", "dropped", "elsewhere"):
        write_json(tmp_path / f"results/{model}/deploy/receipt.json", {"served_as": f"{model}_trt"})
    write_json(tmp_path / "results/dropped/deploy/receipt.kubernetes.json", {"served_as": "dropped_trt"})
    for model in ("kept", "dropped"):
        for kind in ("models", "published"):
            (tmp_path / f"results/.server/{kind}/{model}_trt/1").mkdir(parents=True)
    return tmp_path


def test_undeploy_removes_them_too(place):
    undeploy.main(undeploy.parse_arguments(["--results", "results/kept"]))
    left = sorted(path.relative_to(place / "results").as_posix() for path in place.glob("results/*/deploy/*"))
    assert left == ["dropped/deploy/receipt.kubernetes.json", "elsewhere/deploy/receipt.json"]


def test_in_a_cluster_the_receipt_of_another_model_is_left_alone(place):
    """There each model has objects of its own, which nobody would find without its receipt."""
    histories = [
        ReleaseHistory(ReleaseStore(place / "results" / model, "kubernetes"), [receipt])
        for model in ("kept", "dropped")
        for receipt in [place / "results" / model / "deploy" / "receipt.kubernetes.json"]
    ]
    (histories[0].store.folder / "1").mkdir(parents=True)
    kept = parts.release(parts.part({"name": "kept_trt"}, model="kept"))
    histories[0].begin(kept, {}, DEPLOYMENT)
    assert histories[0].pending().withdrawn == []
    histories[0].undeployed()
    assert histories[1].is_live()


# One model alone; test_deploy.py does it with a real server


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
    options = ["--alone", "--results", str(tmp_path / "other"), "--state", str(tmp_path / ".server")]
    undeploy.main(undeploy.parse_arguments(options))
    assert "nothing of other is deployed to local from this checkout" in capsys.readouterr().err
    assert (tmp_path / "live" / "deploy" / "receipt.json").exists()


def test_a_model_whose_server_has_ended_is_told_as_removed(tmp_path, capsys):
    receipt = tmp_path / "live" / "deploy" / "receipt.json"
    write_json(receipt, local_receipt("live"))
    options = ["--results", str(tmp_path / "live"), "--state", str(tmp_path / ".server")]
    undeploy.main(undeploy.parse_arguments(options))
    assert "removed the record of live, which no server served any more" in capsys.readouterr().err
    assert not receipt.exists()
    undeploy.main(undeploy.parse_arguments(options))
    assert "nothing is deployed to local from this checkout" in capsys.readouterr().err
