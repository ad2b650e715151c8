"""Which receipts are withdrawn: those of models that this checkout's server had and that config.yaml has no longer."""

import pytest
from helpers.models import parts

import undeploy
from slipway.core.artifacts import write_json
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.release_history import DEPLOYMENT, ReleaseHistory


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


def test_a_model_that_is_named_no_longer_was_dropped(place):
    store = ModelStore(place / "results/.server")
    history = ReleaseHistory(store, [place / "results/kept/deploy/receipt.json"])
    kept = parts.release(parts.part({"name": "kept_trt"}, model="kept"))
    history.begin(kept, {}, DEPLOYMENT)
    assert history.pending().withdrawn == [(place / "results/dropped/deploy/receipt.json").as_posix()]
    assert list(history.pending().receipts) == [history.receipts[0].as_posix()]


def test_undeploy_removes_them_too(place):
    undeploy.main(undeploy.parse_arguments(["--results", "results/kept"]))
    left = sorted(path.relative_to(place / "results").as_posix() for path in place.glob("results/*/deploy/*"))
    assert left == ["dropped/deploy/receipt.kubernetes.json", "elsewhere/deploy/receipt.json"]
