"""What a deployment makes of an engine's fitness: before anything changes, and in the receipt."""

from argparse import Namespace
from pathlib import Path

import pytest
from helpers.models.engine_keys import NATIVE, TENSORRT, openvino_key
from helpers.models.ready_client import ReadyClient

import deploy
from slipway.core.errors import SlipwayError
from slipway.deploy.local import compatibility, installation, receipts
from slipway.deploy.local.model_store import ModelStore, Published
from slipway.triton.client.smoke_test import Expected
from slipway.triton.server.tritonserver import Installation, Ports

PORTS = Ports(1, 2, 3)
pytestmark = pytest.mark.usefixtures("an_h100")


def version_of(key: dict) -> Published:
    index = {
        "name": "m_trt",
        "engine_key": key,
        "origin": "rehearsal",
        "chain": {},
        "files": {},
        "input_dtype": "float32",
        "proven_on_labels": False,
    }
    return Published(1, index, "sha", Expected("m_trt", None, None, [], {}))


def deployment(key: dict) -> deploy.Deployment:
    index = version_of(key).index
    return deploy.Deployment("m", Path("repository/m_trt"), index, Path("golden.npz"), Path("receipt.json"))


@pytest.fixture
def options(tmp_path):
    return Namespace(
        host="127.0.0.1",
        http_port=1,
        grpc_port=2,
        metrics_port=3,
        shared_memory=False,
        oldest="26.07",
        ready_timeout_s=1,
        tensorrt_python=None,
        start=1,
        state=tmp_path / "state",
    )


def never(*_, **__):
    pytest.fail("something was about to change")


def test_an_unfit_engine_stops_the_deployment_before_anything_changes(monkeypatch, options):
    for name in ("try_beside", "switch", "complete"):
        monkeypatch.setattr(deploy, name, never)
    monkeypatch.setattr(ModelStore, "publish", never)
    monkeypatch.setattr(deploy, "require_own_ports", lambda *_: None)
    monkeypatch.setattr(deploy, "read_deployments", lambda _: [deployment(openvino_key(runtime_version="2020.1.0"))])
    with pytest.raises(SlipwayError, match=r"built by openvino 2020\.1\.0.* Nothing was changed\."):
        deploy.main(options)


def test_the_interpreter_of_tensorrt_runs_tensorrts_engines_alone(monkeypatch, tmp_path):
    asked, python = [], Path("/opt/tensorrt/bin/python")

    def find(workspace, backends, python):
        asked.append(python)
        return Installation("tritonserver", native_backends=False, folder=workspace)

    monkeypatch.setattr(installation, "find_installation", find)
    assert installation.local_installation([TENSORRT], tmp_path, python, 1).host.python == python
    assert installation.local_installation([openvino_key()], tmp_path, python, 1).host.python is None
    assert asked == [python, None]


@pytest.fixture
def answering(monkeypatch):
    """Return a function that makes every smoke test succeed against a server of a version."""

    def serve(version: str) -> None:
        monkeypatch.setattr(receipts, "ModelClient", ReadyClient)
        monkeypatch.setattr(receipts, "smoke_test", lambda *_: {"server_version": version, "latency_ms": 1, "top": []})

    return serve


def test_the_engine_is_compared_with_the_server_that_runs(answering):
    answering("2.61.0")
    (proof,) = receipts.prove([version_of(TENSORRT)], NATIVE, PORTS)
    assert proof["verified"]["runtime_version"] == "10.13.3.9"
    answering("2.57.0")
    with pytest.raises(SlipwayError, match=r"10\.9\.0\.34 would run it"):
        receipts.prove([version_of(TENSORRT)], NATIVE, PORTS)


def test_the_receipt_says_what_was_not_verified(answering, capsys):
    answering("9.9.9")
    made = version_of(TENSORRT)
    proofs = receipts.prove([made], NATIVE, PORTS)
    receipt = receipts.receipt("m", made, proofs[0], {})
    assert receipt["verified"] == compatibility.require_fit("m_trt", TENSORRT, NATIVE, "9.9.9")
    assert receipt["verified"]["runtime"] is False
    assert receipt["smoke_test"]["server_version"] == "9.9.9"
    receipts.announce([made], proofs, PORTS)
    assert "not verified: the version that runs the engine" in capsys.readouterr().err
