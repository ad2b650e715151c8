"""A deployment that ends before its time: killed, on a full disk, or beside another one."""

import signal
import subprocess
import time

import pytest
from helpers.artifacts.deployed import STORE, deploy, receipt, serving
from helpers.artifacts.training import RECEIPT, RESULTS, options
from helpers.full_disk import can_mount, where_full
from helpers.patience import PATIENCE_S
from helpers.traffic import Traffic

pytestmark = pytest.mark.slow


# Where a deployment is killed: a step that it told, and how long after that.
KILLS = [
    ("checks and copies", 1.2),
    ("testing the new version on a second server", 0.4),
    ("loading the new version in the live server", 0.0),
    ("loading the new version in the live server", 0.3),
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
        assert "loading the new version in the live server" in said
        assert receipt(place)["number"] == new + 1


@pytest.mark.long
def test_after_a_full_disk_at_the_receipt_the_next_command_makes_what_serves_and_what_is_written_agree(
    place, trainings, tmp_path
):
    if not can_mount(tmp_path):
        pytest.skip("mounting a small file system needs Linux with user namespaces")
    deploy(place, trainings[0]).succeeded()
    command = place.program_command("deploy", *options(place, trainings[1]))
    on_a_full_disk = where_full(place.path(RECEIPT).parent, command)

    place.run(on_a_full_disk).refused(
        "tiny version 2 is served and was proven", "the disk is full", "writes the receipt"
    )
    assert (serving(place, trainings), receipt(place)["number"]) == (1, 1)
    said = place.program_here("status", "--results", RESULTS).succeeded().said
    assert "the deployment of tiny version 2 was interrupted before its receipt was written" in said
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
    kill_a_deployment(place, trainings[2], "loading the new version in the live server", 0.1)
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
    first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0
    assert receipt(place)["number"] == 1
