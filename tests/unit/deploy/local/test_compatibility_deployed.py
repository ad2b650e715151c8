"""What a deployment makes of an engine's fitness: before anything changes, and in the receipt."""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.models import parts
from helpers.models.engine_keys import NATIVE, TENSORRT, openvino_key
from helpers.models.ready_client import ReadyClient

import deploy
from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import serving_python
from slipway.core.version import slipway_version
from slipway.deploy import verification
from slipway.deploy.announcement import announce
from slipway.deploy.local import compatibility, installation, switching
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.local.platform import Local
from slipway.deploy.release import Release
from slipway.triton.client.ports import Ports
from slipway.triton.client.smoke_test import Expected
from slipway.triton.server.installation import Installation
from slipway.triton.server.server_options import ServerChoice

PORTS = Ports(1, 2, 3)
pytestmark = pytest.mark.usefixtures("an_h100")


def release_of(key: dict) -> Release:
    index = {
        "name": "m_trt",
        "engine_key": key,
        "origin": "rehearsal",
        "chain": {"weights_sha256": "w"},
        "files": {},
        "input_dtype": "float32",
        "proven_on_labels": False,
    }
    return parts.release(parts.part(index, Expected("m_trt", None, [], {})))


def never(*_, **__):
    pytest.fail("something was about to change")


def test_an_unfit_engine_stops_the_deployment_before_anything_changes(monkeypatch, tmp_path):
    for name in ("start_trial", "load", "start_server"):
        monkeypatch.setattr(switching, name, never)
    monkeypatch.setattr(ModelStore, "publish", never)
    monkeypatch.setattr(switching, "require_own_ports", lambda *_: None)
    monkeypatch.setattr(Release, "read", lambda *_: release_of(openvino_key(runtime_version="2020.1.0")))
    options = ["--results", str(tmp_path / "m"), "--target", "cpu", "--state", str(tmp_path / "state")]
    with pytest.raises(SlipwayError, match=r"built by openvino 2020\.1\.0.* Nothing was changed\."):
        deploy.main(deploy.parse_arguments(options))


def test_the_interpreter_of_tensorrt_runs_tensorrts_engines_alone(monkeypatch, tmp_path):
    asked, python = [], Path("/opt/tensorrt/bin/python")

    def find(workspace, choice, backends, python):
        asked.append(python)
        return Installation("tritonserver", native_backends=False, folder=workspace)

    monkeypatch.setattr(installation, "find_installation", find)
    for key, expected in ((TENSORRT, python), (openvino_key(), serving_python())):
        found = installation.local_installation([key], tmp_path, ServerChoice("wheel"), python, 1)
        assert found.host.python == expected
    assert asked == [python, None]


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Return this machine with Triton's own backends."""
    found = Local({}, Namespace(state=tmp_path))
    found._installation = SimpleNamespace(host=NATIVE)
    return found


@pytest.fixture
def answering(monkeypatch):
    """Return a function that makes every smoke test succeed against a server of a version."""

    def serve(version: str) -> None:
        tested = {"server_version": version, "latency_ms": 1, "outputs": {}}
        monkeypatch.setattr(verification, "ModelClient", ReadyClient)
        monkeypatch.setattr(verification, "smoke_test", lambda *_: tested)

    return serve


def prove(server):
    return verification.prove(server, release_of(TENSORRT), {"cpu": PORTS}, under_load=False)


def test_the_engine_is_compared_with_the_server_that_runs(answering, server):
    answering("2.61.0")
    (proof,) = prove(server)
    assert proof["verified"]["runtime_version"] == "10.13.3.9"
    answering("2.57.0")
    with pytest.raises(SlipwayError, match=r"10\.9\.0\.34 would run it"):
        prove(server)


def test_the_receipt_says_what_was_not_verified(answering, server, capsys):
    answering("9.9.9")
    receipts = verification.receipts_of(server, release_of(TENSORRT), prove(server))
    target = receipts["m"]["targets"]["cpu"]
    assert target["verified"] == compatibility.require_fit("m_trt", TENSORRT, NATIVE, "9.9.9")
    assert target["verified"]["runtime"] is False
    assert target["smoke_test"]["server_version"] == "9.9.9"
    assert receipts["m"]["slipway"] == slipway_version()
    announce(receipts)
    assert "not verified: the version that runs the engine" in capsys.readouterr().err
