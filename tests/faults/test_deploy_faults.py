"""A deployment that cannot succeed changes nothing: foreign ports stay foreign, and a live server stays live."""

import json
import os
import socket

import psutil
import pytest
from helpers.patience import PATIENCE_S
from helpers.workplace import ENGINE_RECORD

from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports

pytestmark = pytest.mark.slow

REPOSITORY_FOLDER = "results/tiny/cpu/repository/tiny_trt"
INDEX = "results/tiny/cpu/repository.json"
RESULTS = "results/tiny"
RECEIPT = f"{RESULTS}/deploy/receipt.json"
STATE = "results/.server/state.json"
LIMITS = {"min_cosine": 0.999, "max_relative_error": 0.01, "min_top1_agreement": 0.99, "max_top1_drop": 0.01}


def servers_of(workplace):
    """Return every tritonserver that works below this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words, folder = process.info["cmdline"] or [], process.info["cwd"] or ""
        if words and words[0].endswith("tritonserver") and f"{folder}/".startswith(f"{workplace.folder}/"):
            found.append(process.pid)
    return found


@pytest.fixture(scope="module")
def ready_to_deploy(good_run, tmp_path_factory):
    """Return a copy of the good run with a model repository; what is deployed from it is stopped at the end."""
    made = good_run.copied(tmp_path_factory.mktemp("deploy"))
    selection = {"precision": "fp32", "max_batch_size": 2, "instances": 1, "limits": {"p99_ms": 2000}}
    selection["measured"] = {"concurrency": 1, "p99_ms": 100}
    made.path("selection.json").write_text(
        json.dumps({**selection, "accuracy_limits": LIMITS, "proven_on_labels": False})
    )
    write_repository(made)
    yield made
    stopped = made.program("undeploy", "--results", RESULTS)
    assert not servers_of(made), f"a server is left over:\n{stopped.said}"
    stopped.succeeded()
    assert not made.path(RECEIPT).exists()


def write_repository(workplace):
    workplace.program_here(
        "write_repository",
        *("--name", "tiny_trt", "--selection", "selection.json", "--engine-records", ENGINE_RECORD),
        *("--weights-record", "results/tiny/weights.json", "--contract", "results/tiny/contract.json"),
        *("--labels", "results/tiny/labels.txt"),
        *("--folder", REPOSITORY_FOLDER, "--index", INDEX),
    ).succeeded()


@pytest.fixture(scope="module")
def ports():
    """Return where this module's server listens."""
    return Ports.free()


def deploy(workplace, ports):
    return workplace.program(
        "deploy",
        *("--results", RESULTS, "--target", "cpu", "--http-port", ports.http, "--grpc-port", ports.grpc),
        *("--metrics-port", ports.metrics, "--ready-timeout-s", PATIENCE_S),
    )


@pytest.fixture(scope="module")
def live(ready_to_deploy, ports):
    """Return a workplace whose model is live."""
    deploy(ready_to_deploy, ports).succeeded()
    return ready_to_deploy


def model_is_ready(ports):
    with ModelClient(ports, "tiny_trt", 10) as client:
        client.require_ready()
    return True


def test_foreign_listener_is_named_and_left_alone(ready_to_deploy, ports):
    if servers_of(ready_to_deploy):
        pytest.fail("this test must come before the deployment")
    before = ready_to_deploy.artifacts()
    with socket.create_server(("127.0.0.1", ports.grpc)) as listener:
        outcome = deploy(ready_to_deploy, ports)

        outcome.refused(f"port {ports.grpc} on 127.0.0.1 is taken by process {os.getpid()} (", "set other ports under")
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE_S):
            pass
    assert ready_to_deploy.artifacts() == before
    assert not servers_of(ready_to_deploy)


def test_deployment_succeeds_once_the_port_is_free(live, ports):
    receipt = json.loads(live.path(RECEIPT).read_text())
    assert servers_of(live) == [receipt["contents"]["server"]["pid"]]
    assert receipt["targets"]["cpu"]["smoke_test"]["requests_counted"] >= 10
    assert model_is_ready(ports)


def truncated_labels(folder):
    """Keep the index, so that the folder contradicts it."""
    os.truncate(folder / "labels.txt", 100)


def broken_engine_with_its_index(folder):
    """Correct the index too, so that only a server can find out."""
    (engine,) = (folder / "1").glob("*.bin")
    os.truncate(engine, 1000)
    index = folder.parents[1] / "repository.json"
    content = json.loads(index.read_text())
    from slipway.core.artifacts import tree_digest

    index.write_text(json.dumps({**content, "files": tree_digest(folder)}))


@pytest.mark.parametrize(
    ("damage", "phrases"),
    [
        (truncated_labels, ["is not what repository.json says: edited or truncated", "run again"]),
        (broken_engine_with_its_index, ["The server that was live serves on unchanged."]),
    ],
)
def test_broken_repository_never_replaces_the_live_server(live, ports, damage, phrases):
    before = live.artifacts()
    served = servers_of(live)
    damage(live.path(REPOSITORY_FOLDER))

    deploy(live, ports).refused(*phrases)

    assert servers_of(live) == served
    assert len(served) == 1
    assert model_is_ready(ports)
    for kept in (RECEIPT, STATE):
        assert live.artifacts()[kept] == before[kept]
    write_repository(live)
