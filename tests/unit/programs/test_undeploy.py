"""Which receipts `undeploy` removes: also those of models that the server has and config.yaml has no longer."""

import pytest
from helpers.models import parts

import undeploy
from slipway.core.artifacts import write_json
from slipway.deploy.ledger import DEPLOYMENT
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
