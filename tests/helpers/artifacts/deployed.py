"""Trainings, a folder to deploy them in, and what is live there."""

import psutil
import pytest

from helpers.artifacts.training import RECEIPT, RESULTS, Training, options
from helpers.traffic import who_gave
from helpers.workplace import Workplace
from slipway.core.artifacts import read_json
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports

STORE = "results/.server"


@pytest.fixture(scope="session")
def trainings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    return [Training(folder / str(seed), seed, instances=1 + seed % 2) for seed in range(5)]


@pytest.fixture
def place(tmp_path):
    """Return an empty folder to deploy in; what is live there is stopped at the end, and nothing is left over."""
    folder = tmp_path / "place"
    folder.mkdir()
    found = Workplace(folder)
    found.served_at = Ports.free()
    yield found
    stopped = found.program_here("undeploy", "--results", RESULTS)
    left = [process for process in psutil.process_iter(["cmdline", "cwd"]) if serves(process, found)]
    assert not left, (left, stopped.said)


def serves(process, place):
    words, folder = process.info["cmdline"] or [], process.info["cwd"] or ""
    return bool(words) and words[0].endswith("tritonserver") and folder.startswith(str(place.folder))


def deploy(place, training, *more):
    return place.program_here("deploy", *options(place, training, *more))


def receipt(place):
    return read_json(place.path(RECEIPT))


def serving(place, trainings):
    """Return the number of the training that answers."""
    with ModelClient(place.served_at, "tiny") as client:
        return who_gave(client.infer({"input": trainings[0].input}).outputs["logits"], trainings)
