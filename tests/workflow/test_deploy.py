"""A deployment that replaces another, with a real server: no request is lost, whatever fails, whenever it is killed."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest
from helpers.artifacts import runs
from helpers.artifacts.published import key_pair
from helpers.artifacts.training import RECEIPT, RESULTS, Training, options
from helpers.full_disk import can_mount, where_full
from helpers.traffic import Traffic, who_gave
from helpers.workplace import Workplace

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.local.installation import local_installation
from slipway.deploy.local.switching import load_again
from slipway.history import file as history_file
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.repository.signing import sign
from slipway.triton.server.tritonserver import Ports

pytestmark = pytest.mark.slow

STORE = "results/.server"
OTHERS_RECEIPT = "results/other/deploy/receipt.json"
RECEIPTS = (RECEIPT, OTHERS_RECEIPT)
HISTORY = f"{RESULTS}/history.jsonl"


@pytest.fixture(scope="module")
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


def test_replacing_and_going_back_lose_no_request(place, trainings):
    deploy(place, trainings[0]).succeeded()
    server = receipt(place)["contents"]["server"]["pid"]
    with Traffic(place.served_at, trainings[0].input) as traffic:
        said = deploy(place, trainings[1]).succeeded().said
        assert "switching in the running server" in said
        assert receipt(place)["number"] == 2
        time.sleep(0.3)
        place.program_here("rollback", "--results", RESULTS).succeeded()
        time.sleep(0.3)
    assert not traffic.lost
    assert traffic.orders(trainings) == [[0, 1, 0]] * 3
    assert not list(place.path(f"{STORE}/models").rglob("__pycache__")), "bytecode lies beside the proven files"
    after = receipt(place)
    assert (after["number"], after["rolled_back_from"], after["contents"]["server"]["pid"]) == (1, 2, server)
    assert after["targets"]["cpu"]["smoke_test"]["agreement"]["relative_error"] < 1e-4
    outcome = place.program_here("rollback", "--results", RESULTS)
    outcome.refused("nothing is kept that was live before tiny version 1", "Nothing was changed")


@pytest.mark.long
def test_a_model_is_deployed_rolled_back_and_withdrawn_alone_while_the_others_serve_on(place, trainings, tmp_path):
    other = Training(tmp_path / "other", 7, name="other")
    for training in (other, trainings[0]):
        deploy(place, training).succeeded()
    before, processes = place.artifacts(*RECEIPTS), engines_of(place, "other")
    written = place.path(OTHERS_RECEIPT).stat().st_mtime_ns
    one = ("--results", RESULTS)
    with Traffic(place.served_at, other.input, model="other") as traffic:
        said = deploy(place, trainings[1]).succeeded().said
        assert "proving it on cpu" in said
        assert "other answers" not in said
        place.program_here("rollback", *one, "--alone", "--configured", *one[1:], "results/other").succeeded()
        assert receipt(place)["number"] == 1
        said = place.program_here("withdraw", *one).succeeded().said
        assert "other version 1: live as before" in said
        assert not place.path(RECEIPT).exists()
        with pytest.raises(SlipwayError):
            serving(place, trainings)
        # Without `tiny` in the configuration.
        said = place.program_here("rollback", "--results", "results/other").succeeded().said
        assert "tiny: version 1, which was taken out of service since, is live again" in said
        assert "tiny is not in this configuration" in said
    assert serving(place, trainings) == 0
    assert not traffic.lost
    assert traffic.orders([*trainings, other]) == [[5]] * 3
    assert engines_of(place, "other") == processes, "it was loaded again"
    assert place.path(OTHERS_RECEIPT).stat().st_mtime_ns == written
    touched = {name for name in before if place.artifacts(*RECEIPTS).get(name) != before[name]}
    assert not [name for name in touched if "other" in name]


def engines_of(place, model):
    """Return the processes that hold the engine of a model."""
    server = psutil.Process(read_json(place.path(OTHERS_RECEIPT))["contents"]["server"]["pid"])
    found = [child for child in server.children(recursive=True) if f"/{model}/1/" in " ".join(child.cmdline())]
    assert found
    return found


def test_a_version_that_was_there_before_is_not_copied_again_and_old_ones_go(place, trainings):
    for training in (trainings[0], trainings[1], trainings[0], trainings[2]):
        deploy(place, training, "--keep-versions", 2).succeeded()
    assert receipt(place)["number"] == 3
    assert sorted(path.name for path in place.path(f"{STORE}/models/tiny").glob("[0-9]*")) == ["1", "3"]


def broken(folder):
    """Return a training whose engine is cut, and whose index says that this is right."""
    damaged = Training(folder / "broken", 9)
    (engine,) = (damaged.folder / "1").glob("*.bin")
    os.truncate(engine, 10)
    damaged.write_index(read_json(damaged.index)["engine_key"], 2000)
    return damaged


def wrong(folder):
    """Return a training that gives other answers than its golden logits."""
    other = Training(folder / "wrong", 9)
    np.savez(other.golden, input=other.input, logits=other.logits[:, ::-1])
    return other


def slow(folder):
    """Return a training that cannot be as fast as it was promised."""
    return Training(folder / "slow", 9, p99_limit_ms=0.001)


def strange(folder):
    """Return a training whose engine was built by another OpenVINO."""
    other = Training(folder / "strange", 9)
    other.write_index(read_json(other.index)["engine_key"] | {"runtime_version": "2020.1"}, 2000)
    return other


FAULTS = {
    broken: "truncated or not an IR",
    wrong: "does not give this checkpoint's answer",
    slow: "above the limit of 0.001 ms",
    strange: "2020.1",
}


def test_what_does_not_hold_leaves_the_live_version_alone(place, trainings, tmp_path):
    deploy(place, trainings[0]).succeeded()
    before = receipt(place)
    for fault, phrase in FAULTS.items():
        faulty = fault(tmp_path)
        with Traffic(place.served_at, trainings[0].input) as traffic:
            deploy(place, faulty).refused(phrase)
        assert not traffic.lost, fault
        assert traffic.orders(trainings) == [[0]] * 3, fault
        assert receipt(place) == before, fault
    deploy(place, trainings[1]).succeeded()
    place.program_here("rollback", "--results", RESULTS).succeeded()
    assert receipt(place)["number"] == before["number"], "what was refused is not gone back to"


def test_a_regression_is_refused_before_anything_is_switched(place, trainings):
    lines = {number: runs.run(number, latency_ms=latency) for number, latency in ((0, 10.0), (1, 51.0))}
    regression = ["--regression", json.dumps({"latency": 0.1, "accept": []})]

    def record(number):
        history_file.append(place.path(HISTORY), lines[number])
        write_json(place.path(f"{RESULTS}/run.json"), {"origin": "checkpoint", "recording": 1, "line": lines[number]})

    place.path(RESULTS).mkdir(parents=True)
    record(0)
    deploy(place, trainings[0], *regression).succeeded()
    before = receipt(place)
    record(1)
    with Traffic(place.served_at, trainings[0].input) as traffic:
        deploy(place, trainings[1], *regression).refused("latency at batch 1", "+410.0 %, where it may rise by 10 %")
    assert not traffic.lost
    assert traffic.orders(trainings) == [[0]] * 3
    assert receipt(place) == before
    name = f"r{lines[1]['key'][:12]}"
    accepted = ["--regression", json.dumps({"latency": 0.1, "accept": [name]})]
    deploy(place, trainings[1], *accepted).succeeded()
    # Going back is never refused, nor is a start of what is live.
    place.program_here("rollback", "--results", RESULTS).succeeded()
    history = history_file.read(place.path(HISTORY))
    assert [(each.action, each.number) for each in history.deployments] == [
        ("deployed", 1),
        ("deployed", 2),
        ("rolled_back", 1),
    ]
    assert [history.run_of(each, "cpu").key for each in history.live("local", "cpu")] == [
        lines[number]["key"] for number in (0, 1, 0)
    ]


def flip_a_bit(path):
    """Flip one bit of a weight in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def append(path):
    """Append a line, to a file that may not be there."""
    with path.open("a", encoding="utf-8") as file:
        file.write("# edited\n")


def edit_with_index(path):
    """Change a file of the version and its index, so that they fit."""
    append(path)
    index = path.parents[3] / "published" / "tiny" / "1" / "index.json"
    said = read_json(index)
    write_json(index, said | {"files": said["files"] | {"1/model.py": sha256(path)}})


# How the version that was live before is tampered with in the store, and which file of it.
TAMPERING = [
    ("models/tiny/1/model.bin", flip_a_bit),
    ("models/tiny/1/model.py", append),
    ("models/tiny/1/model.py", edit_with_index),
    ("models/tiny/1/extra.py", append),
    ("published/tiny/1/labels.txt", append),
    ("published/tiny/1/configs/python.pbtxt", append),
    ("published/tiny/1/golden.npz", flip_a_bit),
    ("published/tiny/1/index.json", append),
]


def test_a_version_that_was_tampered_with_is_not_rolled_back_to_and_the_live_one_serves_on(place, trainings):
    for training in trainings[:2]:
        deploy(place, training).succeeded()
    before, store = receipt(place), place.path(STORE)
    with Traffic(place.served_at, trainings[1].input) as traffic:
        for file, tamper in TAMPERING:
            shutil.copytree(store / "models", store / "kept" / "models")
            shutil.copytree(store / "published", store / "kept" / "published")
            tamper(store / file)
            place.program_here("rollback", "--results", RESULTS).refused(
                "version 1 of tiny",
                "is not what was proven",
                file,
                "what is live serves on",
                "snakemake --cores 1 deploy",
            )
            for name in ("models", "published"):
                shutil.rmtree(store / name)
                (store / "kept" / name).rename(store / name)
    assert not traffic.lost
    assert traffic.orders(trainings) == [[1]] * 3
    assert receipt(place) == before
    place.program_here("rollback", "--results", RESULTS).succeeded()
    assert receipt(place)["number"] == 1


def test_going_back_leaves_what_is_loaded_and_loads_nothing_that_was_tampered_with(place, trainings):
    for training in trainings[:2]:
        deploy(place, training).succeeded()
    state = place.path(STORE)
    found = local_installation([read_json(trainings[0].index)["engine_key"]], state, None, 60)
    ports = Ports.of(receipt(place)["contents"]["server"]["listening"])
    for number in (1, 2):
        append(state / f"models/tiny/{number}/model.py")
    load_again(found, {"tiny": 2}, ports)
    assert serving(place, trainings) == 1
    with pytest.raises(SlipwayError, match=r"version 1 of tiny .* is not what was proven"):
        load_again(found, {"tiny": 1}, ports)
    with pytest.raises(SlipwayError):
        serving(place, trainings)


@pytest.mark.long
def test_a_version_without_the_signature_of_the_key_is_not_rolled_back_to(place, trainings, tmp_path):
    (tmp_path / "keys").mkdir()
    private, public = key_pair(tmp_path / "keys")
    _, other = key_pair(tmp_path / "keys", "other")
    deploy(place, trainings[0]).succeeded()
    for training in trainings[1:3]:
        sign(training.folder.parent, private, training.signature)
    deploy(place, trainings[1], "--public-key", public).succeeded()
    rollback = ("--results", RESULTS, "--public-key")
    place.program_here("rollback", *rollback, public).refused("version 1 of tiny is not served", "is not signed")
    deploy(place, trainings[2], "--public-key", public).succeeded()
    place.program_here("rollback", *rollback, other).refused("version 2 of tiny is not served", "another key")
    assert receipt(place)["number"] == 3
    place.program_here("rollback", *rollback, public).succeeded()
    assert receipt(place)["number"] == 2


def test_what_was_tampered_with_is_put_right_from_the_repository_when_a_server_that_died_is_started_again(
    place, trainings
):
    deploy(place, trainings[0]).succeeded()
    before = {file: sha256(place.path(STORE) / file) for file in SERVED_FILES}
    for file in SERVED_FILES:
        append(place.path(STORE) / file)
    psutil.Process(receipt(place)["contents"]["server"]["pid"]).kill()
    said = deploy(place, trainings[0]).succeeded().said
    assert "was changed since (edited: models/tiny/1/model.py" in said
    assert {file: sha256(place.path(STORE) / file) for file in SERVED_FILES} == before
    with ModelClient(place.served_at, "tiny") as client:
        assert trainings[0].gave(client.infer({"input": trainings[0].input}).outputs["logits"])


# What Triton reads, and what that is taken from.
SERVED_FILES = [
    "models/tiny/1/model.py",
    "models/tiny/configs/python.pbtxt",
    "models/tiny/labels.txt",
    "published/tiny/1/configs/python.pbtxt",
    "published/tiny/1/labels.txt",
]


# Where a deployment is killed: a step that it told, and how long after that.
KILLS = [
    ("checks and copies", 1.2),
    ("trying the new repository beside it", 0.4),
    ("switching in the running server", 0.0),
    ("switching in the running server", 0.3),
]


@pytest.mark.long
def test_killed_at_any_step_it_loses_no_request_and_the_next_deployment_goes_on(place, trainings):
    deploy(place, trainings[0]).succeeded()
    for old, kill in enumerate(KILLS):
        new = old + 1
        with Traffic(place.served_at, trainings[old].input) as traffic:
            kill_a_deployment(place, trainings[new], *kill)
            time.sleep(0.3)
            said = deploy(place, trainings[new]).succeeded().said
        assert not traffic.lost, kill
        orders = traffic.orders(trainings)
        assert all(order in ([old, new], [new]) for order in orders), (kill, orders, said)
        assert "switching in the running server" in said
        assert receipt(place)["number"] == new + 1


def serving(place, trainings):
    """Return the number of the training that answers."""
    with ModelClient(place.served_at, "tiny") as client:
        return who_gave(client.infer({"input": trainings[0].input}).outputs["logits"], trainings)


@pytest.mark.long
def test_after_a_full_disk_at_the_receipt_the_next_command_makes_what_serves_and_what_is_written_agree(
    place, trainings, tmp_path
):
    if not can_mount(tmp_path):
        pytest.skip("mounting a small file system needs Linux with user namespaces")
    deploy(place, trainings[0]).succeeded()
    command = place.program_command("deploy", *options(place, trainings[1]))
    on_a_full_disk = where_full(place.path(RECEIPT).parent, command)

    place.run(on_a_full_disk).refused("tiny version 2 is served and was proven", "the disk is full", "writes it down")
    assert (serving(place, trainings), receipt(place)["number"]) == (1, 1)
    said = place.program_here("status", "--results", RESULTS).succeeded().said
    assert "the deployment of tiny version 2 was interrupted before it was written down" in said
    assert (serving(place, trainings), receipt(place)["number"]) == (1, 2)

    place.program_here("rollback", "--results", RESULTS).succeeded()
    place.run(on_a_full_disk).refused("the disk is full")
    place.program_here("rollback", "--results", RESULTS).succeeded()
    back = receipt(place)
    # Version 2 went when it was rolled back, and no number is given twice.
    assert (serving(place, trainings), back["number"], back["rolled_back_from"]) == (0, 1, 3)


@pytest.mark.long
def test_a_rollback_after_a_deployment_that_was_killed_serves_what_was_live_before_it(place, trainings):
    for training in trainings[:2]:
        deploy(place, training).succeeded()
    kill_a_deployment(place, trainings[2], "switching in the running server", 0.1)
    place.program_here("rollback", "--results", RESULTS).succeeded()
    assert (serving(place, trainings), receipt(place)["number"]) == (1, 2)
    place.path(RECEIPT).write_text("{}", encoding="utf-8")
    place.program_here("rollback", "--results", RESULTS).succeeded()
    assert (serving(place, trainings), receipt(place)["number"]) == (0, 1)


def kill_a_deployment(place, training, step, later_s):
    """Start a deployment and kill it some seconds after it told a step."""
    process = subprocess.Popen(
        list(map(str, place.program_command("deploy", *options(place, training)))),
        cwd=place.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    while step != "checks and copies" and step not in (line := process.stderr.readline()):
        assert line, "it ended before"
    time.sleep(later_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_second_deployer_is_told_so(place, trainings):
    first = subprocess.Popen(
        list(map(str, place.program_command("deploy", *options(place, trainings[0])))),
        cwd=place.folder,
        stderr=subprocess.PIPE,
    )
    published = place.path(f"{STORE}/models")
    while first.poll() is None and not published.exists():
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # else a busy machine may be through with it before the second has begun
    try:
        deploy(place, trainings[0]).refused("another deployment of this checkout is under way")
    finally:
        first.send_signal(signal.SIGCONT)
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert receipt(place)["number"] == 1


def test_other_ports_start_another_server_which_has_all_that_was_live(place, trainings, tmp_path):
    other = Training(tmp_path / "other", 7, name="other")
    for training in (other, trainings[0]):
        deploy(place, training).succeeded()
    old = receipt(place)["contents"]["server"]
    place.served_at = Ports.free()
    deploy(place, trainings[1]).succeeded()
    new = receipt(place)["contents"]["server"]
    assert new["pid"] != old["pid"]
    assert not psutil.pid_exists(old["pid"])
    assert read_json(place.path(OTHERS_RECEIPT))["contents"]["server"] == new, "it was proven there, too"
    for name, training in {"tiny": trainings[1], "other": other}.items():
        with ModelClient(place.served_at, name) as client:
            assert training.gave(client.infer({"input": training.input}).outputs["logits"])
