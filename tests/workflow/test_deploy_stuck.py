"""A load that never ends, as Triton's does once a process was killed that was starting for it."""

import contextlib
import subprocess
import time

import psutil
import pytest
from helpers.artifacts.deployed import STORE, deploy, receipt, serving
from helpers.artifacts.training import RESULTS, Training, options
from helpers.traffic import Traffic

from slipway.core.artifacts import read_json

pytestmark = [pytest.mark.slow, pytest.mark.long]

# The adapter starts in a trial server, and in a live server it starts for ever.
HANGS = """
import os, time
_initialize = TritonPythonModel.initialize
def _hang(self, arguments):
    with open(f"/proc/{os.getppid()}/cmdline") as server:
        time.sleep(0 if "trial/models" in server.read() else 1e6)
    _initialize(self, arguments)
TritonPythonModel.initialize = _hang
"""
TIMEOUT_S = 20


@pytest.fixture(scope="module")
def hanging(tmp_path_factory):
    """Return a training whose release does not end to load in a live server."""
    training = Training(tmp_path_factory.mktemp("hanging") / "training", 1)
    with (training.folder / "1" / "model.py").open("a", encoding="utf-8") as file:
        file.write(HANGS)
    training.write_index(read_json(training.index)["engine_key"], 60_000)
    return training


def test_a_server_in_which_a_load_does_not_end_serves_on_until_the_next_deployment_replaces_it(
    place, trainings, hanging
):
    deploy(place, trainings[0]).succeeded()
    with Traffic(place.served_at, trainings[0].input) as traffic:
        deploy(place, hanging, "--ready-timeout-s", TIMEOUT_S).refused(
            f"Triton does not end a load within {TIMEOUT_S} s",
            "The server that was live serves on. It loads nothing any more: the next deployment replaces it.",
        )
    assert not traffic.lost
    assert (serving(place, trainings), receipt(place)["number"]) == (0, 1)
    said = deploy(place, trainings[2]).succeeded().said
    assert "the server has to be restarted, since it loads nothing any more" in said
    assert serving(place, trainings) == 2


def test_if_the_live_model_dies_while_a_load_does_not_end_its_server_is_started_anew(place, trainings, hanging):
    deploy(place, trainings[0]).succeeded()
    server = psutil.Process(receipt(place)["contents"]["server"]["pid"])
    engines = server.children()
    command = place.program_command("deploy", *options(place, hanging, "--ready-timeout-s", 300))
    process = subprocess.Popen(list(map(str, command)), cwd=place.folder, stderr=subprocess.PIPE, text=True)
    while "loading the new version in the live server" not in (line := process.stderr.readline()):
        assert line, "it ended before"
    while len(server.children()) == len(engines):
        time.sleep(0.01)
    for engine in server.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a shell that the server started ended
            engine.kill()
    _, said = process.communicate()
    assert process.returncode == 1
    assert "The versions that were live are served again." in said
    assert read_json(place.path(f"{STORE}/state.json"))["pid"] != server.pid
    assert serving(place, trainings) == 0
    assert place.program_here("status", "--results", RESULTS).succeeded().said.count("tiny: answers") == 1
