"""Deploying with Compose: a stand-in for `docker` that runs a real Triton, replaced, taken back, rolled back."""

import socket
from contextlib import contextmanager

import filelock
import numpy as np
import pytest
from helpers.artifacts.deployable import NAME, Deployable
from helpers.patience import PATIENCE_S
from helpers.programs import fake_docker

import deploy
import rollback
import status
import undeploy
from slipway.contract.batches import joined
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports

pytestmark = pytest.mark.slow

PROJECT = "tiny-cpu"


class Machine(Deployable):
    """A model that is deployed on this machine with Compose."""

    def __init__(self, folder):
        self.ports = Ports.free()
        listening = {"http_port": self.ports.http, "grpc_port": self.ports.grpc, "metrics_port": self.ports.metrics}
        super().__init__(folder, **listening, ready_timeout_s=PATIENCE_S)

    def run(self, program):
        options = ["--to", "compose", "--results", str(self.results), "--ready-timeout-s", str(PATIENCE_S)]
        program.main(program.parse_arguments(options))

    @property
    def receipt(self):
        path = self.results / "deploy" / "receipt.compose.json"
        return read_json(path) if path.is_file() else None

    def answer(self):
        reference = ReferenceOutputs.read(self.results / "reference_outputs.npz")
        with ModelClient(self.ports, NAME) as client:
            return client.infer(joined(reference.inputs)).outputs["logits"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return an empty machine; what runs at the end is stopped."""
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, value in fake_docker.install(programs).items():
        monkeypatch.setenv(name, value)
    yield Machine(tmp_path)
    fake_docker.Project(PROJECT).down()


def test_deployed_replaced_rolled_back_taken_back_shown_and_removed(machine, capfd):
    machine.train(0)
    machine.run(deploy)
    first, answered = machine.receipt, machine.answer()
    assert first["number"] == 1
    assert first["targets"]["cpu"]["smoke_test"]["agreement"]["relative_error"] < 1e-4
    assert first["targets"]["cpu"]["chain"]["repository_index_sha256"] == machine.index()

    machine.train(1)
    machine.run(deploy)
    assert machine.receipt["number"] == 2
    assert not np.allclose(machine.answer(), answered, rtol=1e-2)
    before, new = machine.receipt, machine.answer()
    for file in ("cpu/repository/tiny_trt/1/model.py", "deploy/compose.yaml", "reference_outputs.npz", "cpu/extra"):
        said = f"version 1 of tiny_trt in .*/compose is not what was proven .*1/{file}.*serves on"
        with tampered(machine.results / "deploy/compose/1" / file), pytest.raises(SlipwayError, match=said):
            machine.run(rollback)
        assert machine.receipt == before
        np.testing.assert_allclose(machine.answer(), new, rtol=1e-4)
    machine.run(rollback)
    back = machine.receipt
    assert (back["number"], back["rolled_back_from"]) == (1, 2)
    np.testing.assert_allclose(machine.answer(), answered, rtol=1e-4)

    machine.train(1, reference_seed=0)
    for is_lost in (False, True):
        if is_lost:
            fake_docker.Project(PROJECT).down()
            (machine.results / "deploy/compose/history.json").unlink()
        with pytest.raises(SlipwayError) as caught:
            machine.run(deploy)
        assert "its answer differs from the reference" in str(caught.value)
        assert "What was live before was started again and serves" in str(caught.value)
        assert machine.receipt == back
        np.testing.assert_allclose(machine.answer(), answered, rtol=1e-4)
    assert not (machine.results / "deploy" / "compose" / "3").exists()

    capfd.readouterr()
    options = ["--results", str(machine.results), "--state", str(machine.folder / "state")]
    status.main(status.parse_arguments(options))
    said = capfd.readouterr().err
    assert "compose" in said
    assert "triton: running, healthy" in said
    assert "correct config.yaml or the checkpoint before" in said

    machine.run(undeploy)
    assert machine.receipt is None
    assert fake_docker.Project(PROJECT).running() is None
    machine.run(undeploy)
    assert "nothing is deployed to compose" in capfd.readouterr().err


@contextmanager
def tampered(path):
    """Append to a file, which may not be there, and put it back."""
    content = path.read_bytes() if path.exists() else None
    with path.open("ab") as file:
        file.write(b"# edited")
    try:
        yield
    finally:
        path.unlink() if content is None else path.write_bytes(content)


def test_a_server_that_does_not_come_up_is_told_with_its_log_and_taken_away(machine):
    machine.train(0)
    adapter = machine.repository() / NAME / "1" / "model.py"
    adapter.write_text("raise RuntimeError('it cannot start')\n", encoding="utf-8")
    machine.accept_repository()
    with pytest.raises(SlipwayError) as caught:
        machine.run(deploy)
    assert "is unhealthy" in str(caught.value)
    assert "it cannot start" in str(caught.value)
    assert "Nothing of it was live before, and nothing of it runs now" in str(caught.value)
    assert fake_docker.Project(PROJECT).running() is None
    assert machine.receipt is None


def test_a_second_deployer_is_told_so(machine):
    machine.train(0)
    folder = machine.results / "deploy" / "compose"
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / "deploying.lock"), pytest.raises(SlipwayError, match="is under way"):
        machine.run(deploy)
    assert fake_docker.Project(PROJECT).running() is None


def test_a_port_of_somebody_else_changes_nothing(machine):
    machine.train(0)
    with socket.create_server(("127.0.0.1", machine.ports.grpc)), pytest.raises(SlipwayError) as caught:
        machine.run(deploy)
    assert f"port {machine.ports.grpc} on 127.0.0.1 is taken" in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    assert not list((machine.results / "deploy").glob("compose/[0-9]*"))
