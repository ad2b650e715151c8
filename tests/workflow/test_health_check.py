"""A live model that no longer answers is told by `status`, makes its receipt stale, and is mended by `deploy`."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from helpers.artifacts.configured import job_keys
from helpers.artifacts.training import RECEIPT, RESULTS, Training, options
from helpers.patience import PATIENCE_S
from helpers.workplace import Workplace

from slipway.core.artifacts import read_json
from slipway.deploy.local import server_state
from slipway.deploy.local.health_check import DEAD, why_silent
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports

pytestmark = pytest.mark.slow

STATE = "results/.server"
# Where nobody listens: whoever asks through it finds every server dead.
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def behind_a_proxy(monkeypatch):
    """Name a proxy in the environment, which no server of this machine is asked through."""
    for name, proxy in PROXIES.items():
        monkeypatch.setenv(name, proxy)


def own_servers(place):
    """Return the process of every server that runs for a workplace, the ones on trial too."""
    with contextlib.chdir(place.folder):
        folders = server_state.FOLDER, server_state.FOLDER / "trial"
        return [state["pid"] for folder in folders for state in server_state.unrecorded_servers(folder)]


def new_place(folder):
    folder.mkdir(parents=True)
    made = Workplace(folder)
    made.served_at = Ports.free()
    return made


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    return [Training(folder / str(seed), seed, instances=1 + seed) for seed in range(2)]


@pytest.fixture(scope="module")
def live(trainings, tmp_path_factory):
    """Return a workplace in which a model with two instances is live."""
    place = new_place(tmp_path_factory.mktemp("live") / "place")
    deploy(place, trainings[1]).succeeded()
    yield place
    place.program_here("undeploy", "--results", RESULTS).succeeded()
    assert not own_servers(place)


def deploy(place, training):
    """Deploy as the workflow would: it counts the start anew where what is live does not answer."""
    return place.program_here("deploy", *options(place, training), "--server-generation", planned_generation(place))


def planned_generation(place):
    with contextlib.chdir(place.folder):
        return job_keys().deploy_release(why_silent())["server_generation"]


def status(place):
    said = place.program_here("status", "--results", RESULTS).succeeded().said
    return next(line for line in said.splitlines() if line.startswith("tiny: "))


def server_of(place):
    return psutil.Process(read_json(place.path(RECEIPT))["contents"]["server"]["pid"])


def kill_one_engine(server):
    """Kill a process that holds the engine, as a machine without memory does; another one answers on."""
    return killed([next(child for child in server.children() if child.name().startswith("triton_python_b"))])


def kill_every_engine(server):
    return killed(server.children())


def kill_server(server):
    return killed([server])


def suspend_server(server):
    server.suspend()
    return [server]


def killed(processes):
    for process in processes:
        process.kill()
    return processes


def is_dead(process):
    """Say whether a signal has ended or stopped a process, which may take a moment on a busy machine."""
    try:
        return process.status() in DEAD
    except psutil.NoSuchProcess:
        return True


DEATHS = {
    kill_one_engine: "1 of the 2 processes that hold its engine died",
    kill_every_engine: "2 of the 2 processes that hold its engine died",
    suspend_server: "is stopped by a signal",
    kill_server: "its server has ended",
}


# A suspended server is waited for until the time limit of a request.
SLOW = {suspend_server: [pytest.mark.long]}


@pytest.mark.parametrize("death", [pytest.param(each, marks=SLOW.get(each, []), id=each.__name__) for each in DEATHS])
def test_a_model_that_died_is_told_and_deployed_again_without_a_rebuild(live, trainings, death):
    assert status(live).startswith("tiny: answers; live on local since ")
    before, receipt = planned_generation(live), read_json(live.path(RECEIPT))
    dying = death(server_of(live))
    while not all(map(is_dead, dying)):
        time.sleep(0.01)
    assert "does not answer, because" in status(live)
    assert DEATHS[death] in status(live)
    assert planned_generation(live) == before + 1
    deploy(live, trainings[1]).succeeded()
    assert planned_generation(live) == before + 1, "the receipt is fresh"
    assert status(live).startswith("tiny: answers; live on local since ")
    assert read_json(live.path(RECEIPT))["number"] == receipt["number"]
    with ModelClient(live.served_at, "tiny") as client:
        assert trainings[1].gave(client.infer({"input": trainings[1].input}).outputs["logits"])
    assert own_servers(live) == [server_of(live).pid]


def test_with_its_records_lost_or_damaged_a_live_server_serves_on_and_is_recorded_again(live, trainings):
    server = server_of(live).pid
    live.path(f"{STATE}/state.json").write_text("null")
    assert status(live).startswith("tiny: answers")
    before, generation = read_json(live.path(RECEIPT)), planned_generation(live)
    live.path(RECEIPT).write_text("{}")
    assert status(live).startswith("tiny: answers")
    assert read_json(live.path(RECEIPT)) == before
    live.path(f"{STATE}/published/live.json").write_text("null")
    assert planned_generation(live) == generation + 1, "what is live cannot be compared any more"
    deploy(live, trainings[1]).succeeded()
    assert server_of(live).pid == server
    assert read_json(live.path(f"{STATE}/state.json"))["pid"] == server


def test_with_its_ledger_lost_what_was_live_is_served_again_after_a_failed_deployment(live, trainings, tmp_path):
    live.path(f"{STATE}/published/live.json").unlink()
    server_of(live).kill()
    too_slow = Training(tmp_path / "too_slow", 0, p99_limit_ms=1e-3)
    deploy(live, too_slow).refused("The versions that were live are served again.")
    assert status(live).startswith("tiny: answers")
    deploy(live, trainings[0]).succeeded()
    live.program_here("rollback", "--results", RESULTS).succeeded()
    with ModelClient(live.served_at, "tiny") as client:
        assert trainings[1].gave(client.infer({"input": trainings[1].input}).outputs["logits"])


def test_a_server_whose_folder_was_removed_is_replaced(live, trainings):
    before = server_of(live).pid
    shutil.rmtree(live.path(STATE))
    live.program_here("deploy", *options(live, trainings[1])).succeeded()
    assert own_servers(live) == [server_of(live).pid] != [before]
    assert status(live).startswith("tiny: answers; live on local since ")


# Runs deploy.py in a process that is killed, or gets a signal, right after the server was started.
INTERRUPTED = """
import os, runpy, signal, subprocess, sys
started, by, words = subprocess.Popen, getattr(signal, sys.argv[1]), sys.argv[2:]
def start(command, *more, **options):
    process = started(command, *more, **options)
    if "tritonserver" in os.path.basename(command[0]) and "--help" not in command:
        os.kill(os.getpid(), by)
    return process
subprocess.Popen = start
sys.argv = words
sys.path.insert(0, os.path.dirname(words[0]))
runpy.run_path(words[0], run_name="__main__")
"""


def interrupted(place, training, by):
    command = [sys.executable, "-c", INTERRUPTED, by, *place.program_command("deploy", *options(place, training))[1:]]
    return place.run(command)


def test_a_server_that_a_killed_deployment_could_not_record_is_its_own_to_the_next(live, trainings):
    assert interrupted(live, trainings[0], "SIGKILL").code == -signal.SIGKILL
    assert len(own_servers(live)) == 2, "one is left on trial"
    deploy(live, trainings[0]).succeeded()
    assert own_servers(live) == [server_of(live).pid]


def test_a_first_server_that_a_killed_deployment_could_not_record_is_replaced(tmp_path, trainings):
    place = new_place(tmp_path / "place")
    assert interrupted(place, trainings[0], "SIGKILL").code == -signal.SIGKILL
    [left] = own_servers(place)
    try:
        deploy(place, trainings[0]).succeeded()
        assert own_servers(place) == [server_of(place).pid]
        assert status(place).startswith("tiny: answers")
    finally:
        place.program_here("undeploy", "--results", RESULTS).succeeded()
    assert not psutil.pid_exists(left)
    assert not own_servers(place)


@pytest.mark.parametrize("by", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_closed_terminal_leaves_no_server(tmp_path, trainings, by):
    place = new_place(tmp_path / "place")
    outcome = interrupted(place, trainings[0], by)
    assert outcome.code in (128 + getattr(signal, by), -signal.SIGINT), outcome.said
    assert not own_servers(place)
    assert not place.path(RECEIPT).exists()


def test_of_two_checkouts_that_deploy_to_the_same_ports_at_once_one_succeeds(tmp_path, trainings):
    places = [new_place(tmp_path / name / "place") for name in ("one", "other")]
    places[1].served_at = places[0].served_at
    started = [
        subprocess.Popen(
            list(map(str, place.program_command("deploy", *options(place, training)))),
            cwd=place.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for place, training in zip(places, trainings, strict=True)
    ]
    said = [process.communicate(timeout=PATIENCE_S)[0] for process in started]
    try:
        codes = [process.returncode for process in started]
        assert sorted(codes) == [0, 1], said
        winner, loser = codes.index(0), codes.index(1)
        assert " is taken by " in said[loser], said[loser]
        assert not places[loser].path(RECEIPT).exists()
        assert own_servers(places[winner]) == [server_of(places[winner]).pid]
        assert not own_servers(places[loser])
        with ModelClient(places[0].served_at, "tiny") as client:
            assert trainings[winner].gave(client.infer({"input": trainings[winner].input}).outputs["logits"])
    finally:
        for place in places:
            place.program_here("undeploy", "--results", RESULTS)
