"""Two at once: commands beside commands, checkouts beside checkouts, and copies of a checkout that is live."""

import shutil
import signal
import time

from faults.campaign.commands import told_well, wait_for
from faults.campaign.fault import fault, faults
from faults.campaign.scene import LIVE, NEXT, PREVIOUS
from helpers.workplace import Workplace

from slipway.triton.client.ports import Ports

PAIRS = {
    "deploy and deploy": (("deploy", NEXT), ("deploy", LIVE)),
    "deploy and deploy of the same version": (("deploy", NEXT), ("deploy", NEXT)),
    "deploy and rollback": (("deploy", NEXT), ("rollback",)),
    "deploy and undeploy": (("deploy", NEXT), ("undeploy",)),
    "deploy and status": (("deploy", NEXT), ("status",)),
    "rollback and rollback": (("rollback",), ("rollback",)),
    "rollback and undeploy": (("rollback",), ("undeploy",)),
    "rollback and status": (("rollback",), ("status",)),
    "undeploy and undeploy": (("undeploy",), ("undeploy",)),
    "undeploy and status": (("undeploy",), ("status",)),
}


@faults(PAIRS)
def at_once_run(scene, pair):
    commands = [scene.start(*each) for each in pair]
    outcomes = [told_well(command.end()) for command in commands]
    assert 0 in [outcome.code for outcome in outcomes], outcomes


@faults(PAIRS)
def in_the_middle_of_the_first_the_second_runs_of(scene, pair):
    first = scene.start(*pair[0]).until("begins", 1.5)
    told_well(scene.start(*pair[1]).end())
    told_well(first.end())


@fault
def five_deployments_start_at_once(scene):
    commands = [scene.start("deploy", number) for number in (NEXT, LIVE, PREVIOUS, NEXT, LIVE)]
    outcomes = [told_well(command.end()) for command in commands]
    assert 0 in [outcome.code for outcome in outcomes], outcomes


@fault
def status_is_asked_five_times_during_a_deployment(scene):
    command = scene.start("deploy", NEXT).until("begins")
    for status in [scene.start("status") for _ in range(5)]:
        told_well(status.end()).succeeded()
    told_well(command.end()).succeeded()


@fault
def a_deployment_is_killed_and_at_once_another_one_started(scene):
    scene.start("deploy", NEXT).until("loading the new version", 0.05).send(signal.SIGKILL)
    scene.deploy(PREVIOUS)


@fault
def a_deployment_is_killed_and_at_once_rolled_back(scene):
    scene.start("deploy", NEXT).until("loading the new version", 0.05).send(signal.SIGKILL)
    scene.rollback()


@fault
def a_deployment_is_killed_and_at_once_undeployed(scene):
    scene.start("deploy", NEXT).until("testing the new version", 0.5).send(signal.SIGKILL)
    scene.run("undeploy").succeeded()


@fault
def a_deployment_that_hangs_is_not_disturbed_by_a_second_one(scene):
    command = scene.start("deploy", NEXT).until("begins").send(signal.SIGSTOP)
    # The same training: with another one, the built files would change under the first command.
    scene.deploy(NEXT).refused("another deployment of this checkout is under way")
    told_well(command.send(signal.SIGCONT).end()).succeeded()


def beside(scene, name):
    """Return an empty checkout beside the scene's."""
    folder = scene.place.folder.parent / name / "place"
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    other = Workplace(folder)
    other.served_at = scene.ports
    return other


def as_if(scene, other, act):
    """Let something happen in another checkout, and return what it returns."""
    own, scene.place = scene.place, other
    try:
        return act()
    finally:
        scene.place = own


@fault
def another_checkout_deploys_to_the_ports_of_the_live_server(scene):
    other = beside(scene, "other")
    as_if(scene, other, lambda: scene.deploy(NEXT, allowed=False)).refused("is taken by")
    as_if(scene, other, lambda: scene.run("undeploy")).succeeded()


@fault
def two_checkouts_deploy_to_the_same_free_ports_at_once(scene):
    places = [beside(scene, name) for name in ("one", "other")]
    ports = Ports.free()
    for place in places:
        place.served_at = ports
    commands = [as_if(scene, each, lambda: scene.start("deploy", NEXT, allowed=False)) for each in places]
    codes = sorted(told_well(command.end()).code for command in commands)
    for place in places:
        as_if(scene, place, lambda: scene.run("undeploy")).succeeded()
    assert codes == [0, 1], codes


@fault
def the_checkout_is_copied_and_the_copy_deploys_elsewhere_and_undeploys(scene):
    copy = copied(scene)
    copy.served_at = Ports.free()
    as_if(scene, copy, lambda: scene.deploy(NEXT, allowed=False)).succeeded()
    as_if(scene, copy, lambda: scene.run("status")).succeeded()
    as_if(scene, copy, lambda: scene.run("undeploy")).succeeded()
    assert scene.serving()[0] == LIVE


@faults({"deploy": "deploy", "rollback": "rollback", "undeploy": "undeploy", "status": "status"})
def the_checkout_is_copied_and_in_the_copy_comes(scene, program):
    copy, server = copied(scene), scene.server
    as_if(scene, copy, lambda: scene.run(program, allowed=False))
    assert server.is_running(), "the copy stopped the server of the original"
    assert scene.serving()[0] == LIVE
    as_if(scene, copy, lambda: scene.run("undeploy"))
    assert server.is_running(), "the copy stopped the server of the original"


def copied(scene):
    other = beside(scene, "copy")
    shutil.rmtree(other.folder)
    shutil.copytree(scene.place.folder, other.folder, symlinks=True)
    return other


@faults({"deploy": "deploy", "rollback": "rollback", "undeploy": "undeploy", "status": "status"})
def the_checkout_is_moved_while_it_is_live_and_there_comes(scene, program):
    moved = scene.place.folder.with_name("moved")
    home = scene.place.folder
    home.rename(moved)
    other = Workplace(moved)
    other.served_at = scene.ports
    try:
        as_if(scene, other, lambda: scene.run(program))
        as_if(scene, other, lambda: scene.run("status"))
    finally:
        moved.rename(home)


@fault
def the_live_server_dies_while_two_deploy(scene):
    server = scene.server
    commands = [scene.start("deploy", number) for number in (NEXT, LIVE)]
    time.sleep(2)
    scene.kill(server)
    for command in commands:
        told_well(command.end())


@fault
def two_undeploy_and_one_deploys(scene):
    commands = [scene.start("undeploy"), scene.start("deploy", NEXT), scene.start("undeploy")]
    for command in commands:
        told_well(command.end())
    wait_for(lambda: all(command.process.poll() is not None for command in commands))
