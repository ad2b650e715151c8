"""A deployment that replaces another, with a real server: no request is lost, and whatever fails is not live."""

import json
import os

import psutil
import pytest
from helpers.artifacts import runs
from helpers.artifacts.deployed import STORE, deploy, receipt, serving
from helpers.artifacts.training import RECEIPT, RESULTS, Training
from helpers.models.served_pictures import write_reference
from helpers.traffic import Traffic

from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.history import file as history_file
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports

pytestmark = pytest.mark.slow

OTHERS_RECEIPT = "results/other/deploy/receipt.json"
RECEIPTS = (RECEIPT, OTHERS_RECEIPT)
HISTORY = f"{RESULTS}/history.jsonl"


def test_replacing_and_going_back_lose_no_request(place, trainings):
    deploy(place, trainings[0]).succeeded()
    server = receipt(place)["contents"]["server"]["pid"]
    with Traffic(place.served_at, trainings[0].input) as traffic:
        said = deploy(place, trainings[1]).succeeded().said
        assert "loading the new version in the live server" in said
        assert receipt(place)["number"] == 2
        traffic.until_all_got(trainings[1])
        place.program_here("rollback", "--results", RESULTS).succeeded()
        traffic.until_all_got(trainings[0])
    assert not traffic.lost
    assert traffic.orders(trainings) == [[0, 1, 0]] * 3
    assert not list(place.path(f"{STORE}/models").rglob("__pycache__")), "bytecode lies beside the proven files"
    after = receipt(place)
    assert (after["number"], after["rolled_back_from"], after["contents"]["server"]["pid"]) == (1, 2, server)
    assert after["targets"]["cpu"]["smoke_test"]["agreement"]["relative_error"] < 1e-4
    outcome = place.program_here("rollback", "--results", RESULTS)
    outcome.refused("no version is stored that was live before tiny version 1", "Nothing was changed")


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
        said = place.program_here("undeploy", "--alone", *one).succeeded().said
        assert "other version 1: live as before" in said
        assert not place.path(RECEIPT).exists()
        with pytest.raises(SlipwayError):
            serving(place, trainings)
        # Without `tiny` in the configuration.
        said = place.program_here("rollback", "--results", "results/other").succeeded().said
        assert "tiny: version 1, which had been undeployed, is live again" in said
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
    damaged.write_index(read_json(damaged.index)["engine_key"], 60_000)
    return damaged


def wrong(folder):
    """Return a training that gives other answers than its reference outputs."""
    other = Training(folder / "wrong", 9)
    write_reference(other.reference, [other.input], [other.logits[:, ::-1]])
    return other


def slow(folder):
    """Return a training that cannot be as fast as it was promised."""
    return Training(folder / "slow", 9, p99_limit_ms=0.001)


def strange(folder):
    """Return a training whose engine was built by another OpenVINO."""
    other = Training(folder / "strange", 9)
    other.write_index(read_json(other.index)["engine_key"] | {"runtime_version": "2020.1"}, 60_000)
    return other


FAULTS = {
    broken: "truncated or not an IR",
    wrong: "its answer differs from the reference",
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
