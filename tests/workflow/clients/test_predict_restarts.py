"""predict.py asks a real tritonserver that comes and goes."""

import json
import subprocess

import pytest
from helpers.patience import PATIENCE_S
from helpers.predicting import PICTURES, command, predict, regions, served, to

from slipway.triton.client.ports import Ports
from slipway.triton.server.tritonserver import stop_process

pytestmark = pytest.mark.slow


def test_a_server_that_is_not_there_yet_is_waited_for(repository, pictures, tmp_path):
    server = served(repository, tmp_path)
    asking = subprocess.Popen(
        to(server, pictures, "--json", "--retries", 100), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with server:
        printed, said = asking.communicate(timeout=PATIENCE_S)
    assert asking.returncode == 0, said
    assert json.loads(printed)["summary"]["answered"] == PICTURES


def test_nobody_there_is_told_after_the_retries(pictures):
    port = Ports.free().grpc
    _, outcome = predict(command("--url", f"127.0.0.1:{port}", "--retries", 1, pictures))
    outcome.refused(f"no Triton answers at 127.0.0.1:{port}: nothing listens there")


@pytest.mark.long
def test_a_server_that_is_started_again_is_asked_again(repository, pictures, tmp_path):
    """It knows the client's shared memory no longer, and is told of it anew."""
    server = served(repository, tmp_path)
    options = ["--json", "--shared-memory", "--batch", 1, "--retries", 100]
    with server:
        server.wait_until_ready(PATIENCE_S)
        asking = subprocess.Popen(
            [*to(server, *[pictures] * 200), *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not regions(server):
            assert asking.poll() is None, asking.communicate()
        stop_process(server.process.pid, timeout_s=40)
        server.process.wait()
        server.start()
        printed, said = asking.communicate(timeout=PATIENCE_S)
        assert asking.returncode == 0, said
        assert regions(server) == {}
    found = json.loads(printed)
    assert found["summary"]["answered"] == 200 * PICTURES
    assert max(picture["attempts"] for picture in found["pictures"]) > 1
