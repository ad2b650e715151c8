"""A tiny engine behind a real tritonserver: its adapter, its interpreter, its answers to many at once."""

import json
import os
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc as grpcclient
from helpers.models.classifier_contract import reference_of
from helpers.models.tiny_engine import CLASSES, CROP, tiny_engine
from helpers.patience import PATIENCE_S

from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import FOLDER, serving_python, serving_version
from slipway.triton.client.grpc_client import ModelClient, read_metrics
from slipway.triton.client.ports import Ports
from slipway.triton.client.smoke_test import Expected, smoke_test
from slipway.triton.repository.model_folder import served_model, write_model
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server

pytestmark = pytest.mark.slow

MAX_BATCH = 4
LIMITS = {"min_cosine": 0.9999, "max_relative_error": 1e-4, "min_top1_agreement": 1.0}
SAYS_ITS_VERSION = "import sys; print(*sys.version_info[:3])"
# Appended to the adapter: each instance writes down what it runs with, and what was imported since it was ready.
WATCHING = """

import json
import sys

import numpy
import openvino


class TritonPythonModel(TritonPythonModel):
    def initialize(self, args):
        super().initialize(args)
        versions = {"version": " ".join(map(str, sys.version_info[:3])), "path": sys.path}
        versions |= {"numpy": numpy.__version__, "openvino": openvino.__version__}
        Path(__file__).with_name("runs-with.json").write_text(json.dumps(versions), encoding="utf-8")
        self._known = set(sys.modules)

    def execute(self, requests):
        found = " ".join(sorted(set(sys.modules) - self._known))
        Path(__file__).with_name(f"imported-{os.getpid()}").write_text(found, encoding="utf-8")
        return super().execute(requests)
"""


@pytest.fixture
def tiny(request, tmp_path):
    return tiny_engine(tmp_path, "openvino", getattr(request, "param", "uint8"))


def repository_of(tiny, folder, name="tiny"):
    """Write the repository of one model, with two instances, beside those that are there."""
    served = served_model(name, tiny.engine, tiny.contract, MAX_BATCH, 2)
    write_model(folder / name, served, tiny.engine, tiny.labels)
    return folder


def wrapped_interpreter(folder):
    """Return a script around an interpreter that sets a variable and a folder of packages, as TensorRT's own may."""
    (folder / "packages").mkdir()
    script = folder / "wrapped-python"
    text = f'#!/bin/sh\nexport PYTHONPATH={folder / "packages"} SLIPWAY_MARK=set\nexec {serving_python()} "$@"\n'
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script


def serve(repository, workspace, python=None):
    installation = find_installation(workspace, ServerChoice("wheel"), python=python)
    return Server(installation, [repository], Ports.free(), workspace / "server.log")


def prove(server, tiny, name="tiny"):
    with ModelClient(server.ports, name) as client:
        logits = tiny.engine.load().infer({"input": tiny.batch})["logits"]
        return smoke_test(client, Expected(name, reference_of(tiny.batch, logits), [""] * CLASSES, LIMITS))


@pytest.mark.parametrize("tiny", ["float32", "uint8"], indirect=True)
def test_requests_that_are_gathered_get_each_their_own_answer(tmp_path, tiny):
    random = np.random.default_rng(5)
    batches = [
        random.integers(0, 256, (1 + index % MAX_BATCH, 3, CROP, CROP)).astype(tiny.batch.dtype) for index in range(200)
    ]
    engine = tiny.engine.load()
    with serve(repository_of(tiny, tmp_path / "r"), tmp_path / "w") as server, ThreadPoolExecutor(16) as pool:
        server.wait_until_ready(PATIENCE_S)
        proof = prove(server, tiny)
        assert proof["instances"] == 2
        assert proof["batch_independence"]["batches"] == [2, 4]
        assert proof["batch_independence"]["by_size"] < 1e-4
        with ModelClient(server.ports, "tiny") as client:
            answers = list(pool.map(lambda batch: client.infer({"input": batch}).outputs["logits"], batches))
    for batch, answer in zip(batches, answers, strict=True):
        assert answer.shape == (len(batch), CLASSES)
        np.testing.assert_allclose(answer, engine.infer({"input": batch})["logits"], rtol=1e-4, atol=1e-3)


def test_a_served_model_that_answers_by_its_neighbours_is_refused(tmp_path):
    mixing = tiny_engine(tmp_path, "openvino", "uint8", mixing=True)
    with serve(repository_of(mixing, tmp_path / "r", "mixing"), tmp_path / "w") as server:
        server.wait_until_ready(PATIENCE_S)
        with pytest.raises(SlipwayError, match=r"mixing is served, but the answer .* depends on its neighbours"):
            prove(server, mixing, "mixing")


def test_the_models_run_under_the_interpreter_that_was_named(tmp_path, tiny):
    python = wrapped_interpreter(tmp_path)
    (tmp_path / "packages" / "only_there.py").write_text("", encoding="utf-8")
    repository = repository_of(tiny, tmp_path / "r")
    adapter = repository / "tiny" / "1" / "model.py"
    adapter.write_text(adapter.read_text(encoding="utf-8") + "\n\nimport only_there\n", encoding="utf-8")
    with serve(repository, tmp_path / "w", python) as server:
        server.wait_until_ready(PATIENCE_S)
        prove(server, tiny)
        process = psutil.Process(server.process.pid)
        stubs = process.children(recursive=True)
        assert [stub.environ()["SLIPWAY_MARK"] for stub in stubs] == ["set", "set"]
        assert "SLIPWAY_MARK" not in process.environ()


def test_the_stub_has_the_packages_that_serve_and_no_request_waits_for_an_import(tmp_path, tiny, monkeypatch):
    """Neither the shell's PATH nor its PYTHONPATH, which name the environment that builds, reach it."""
    repository = repository_of(tiny, tmp_path / "r")
    version = repository / "tiny" / "1"
    adapter = version / "model.py"
    adapter.write_text(adapter.read_text(encoding="utf-8") + WATCHING, encoding="utf-8")
    building = sysconfig.get_path("purelib")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", building)
    with serve(repository, tmp_path / "w") as server:
        server.wait_until_ready(PATIENCE_S)
        prove(server, tiny)
    assert {path.read_text(encoding="utf-8") for path in version.glob("imported-*")} == {""}
    told = json.loads((version / "runs-with.json").read_text(encoding="utf-8"))
    assert told["numpy"] == serving_version("numpy")
    assert told["numpy"] < "2" <= np.__version__
    assert told["openvino"].startswith(serving_version("openvino"))
    assert told["version"] == subprocess.check_output([serving_python(), "-c", SAYS_ITS_VERSION], text=True).strip()
    assert building not in told["path"]
    assert str(next(FOLDER.glob("lib/python3.*/site-packages"))) in told["path"]


def test_why_a_model_did_not_load_is_told(tmp_path, tiny):
    repository = repository_of(tiny, tmp_path / "r")
    os.truncate(repository / "tiny" / "1" / "model.xml", 100)
    with serve(repository, tmp_path / "w") as server, pytest.raises(SlipwayError) as caught:
        server.wait_until_ready(PATIENCE_S)
    assert "failed to load 'tiny' version 1" in str(caught.value)
    assert "truncated or not an IR" in str(caught.value)


def ask_in_flight(ports, picture, requests, in_flight):
    """Send so many requests, never more than `in_flight` at a time; return the errors."""
    places, errors = threading.Semaphore(in_flight), []

    def answered(result, error):
        if error:
            errors.append(error)
        places.release()

    asked = grpcclient.InferInput("input", picture.shape, "UINT8")
    asked.set_data_from_numpy(picture)
    with grpcclient.InferenceServerClient(f"{ports.host}:{ports.grpc}") as client:
        for _ in range(requests):
            assert places.acquire(timeout=PATIENCE_S), "no request was answered"
            client.async_infer("tiny", [asked], answered)
        for _ in range(in_flight):
            assert places.acquire(timeout=PATIENCE_S), "not every request was answered"
    return errors


def test_many_in_flight_do_not_stall(tmp_path, tiny):
    """Of 64 requests in flight each is answered, and the batcher gathers several into one run."""
    with serve(repository_of(tiny, tmp_path / "r"), tmp_path / "w") as server:
        server.wait_until_ready(PATIENCE_S)
        assert ask_in_flight(server.ports, tiny.batch[:1], 2000, 64) == []
        with ModelClient(server.ports, "tiny") as client:
            answered = client.successes("1", at_least=2000)
        counted = read_metrics(server.ports)
    assert answered >= 2000
    assert counted["nv_inference_request_failure", "tiny", "1"] == 0
    # Without a batcher each has a run of its own; how many share one depends on how busy this machine is.
    assert counted["nv_inference_exec_count", "tiny", "1"] < 0.9 * answered
