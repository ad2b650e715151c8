"""Kills: of deploy, rollback, undeploy and status, of servers, and of the processes that hold an engine."""

import contextlib
import signal
import time

import psutil
from faults.campaign.commands import told_well, wait_for
from faults.campaign.fault import fault, faults
from faults.campaign.scene import LIVE, NEXT, PREVIOUS, SIGNALS

# Steps that a deployment tells, and how long after that it is disturbed.
OF_DEPLOY = {
    "as it begins": ("begins", 0.0),
    "while it copies": ("begins", 0.6),
    "in its trial": ("testing the new version", 0.5),
    "in the proof of its trial": ("testing the new version", 2.5),
    "as it switches": ("loading the new version", 0.0),
    "while it loads": ("loading the new version", 0.15),
    "in its proof": ("loading the new version", 0.6),
}
OF_ROLLBACK = {
    "as it begins": ("begins", 0.0),
    "in its trial": ("testing the new version on a second server", 0.8),
    "as it switches": ("loading the new version", 0.0),
    "while it loads": ("loading the new version", 0.15),
}
HOW_OFTEN_EACH_SIGNAL = {
    f"{name}, {when}": (by, step) for name, by in SIGNALS.items() for when, step in OF_DEPLOY.items()
}
OF_ROLLBACKS = {
    f"{name}, {when}": (SIGNALS[name], step) for name in ("kill -9", "Ctrl-C") for when, step in OF_ROLLBACK.items()
}


@faults(HOW_OFTEN_EACH_SIGNAL)
def deploy_is_ended_by_a_signal(scene, case):
    by, step = case
    told_well(scene.start("deploy", NEXT).until(*step).send(by).end())


@faults(OF_ROLLBACKS)
def rollback_is_ended_by_a_signal(scene, case):
    by, step = case
    told_well(scene.start("rollback").until(*step).send(by).end())


@faults({"kill -9": signal.SIGKILL, "kill": signal.SIGTERM, "Ctrl-C": signal.SIGINT})
def undeploy_is_ended_by_a_signal_while_the_server_drains(scene, by):
    told_well(scene.start("undeploy").until("begins", 0.1).send(by).end())


@fault
def deploy_is_killed_three_times_in_a_row(scene):
    for step in ("as it switches", "while it loads", "in its proof"):
        scene.start("deploy", NEXT).until(*OF_DEPLOY[step]).send(signal.SIGKILL).end()


@fault
def rollback_after_a_killed_deployment_serves_what_was_live(scene):
    scene.start("deploy", NEXT).until(*OF_DEPLOY["while it loads"]).send(signal.SIGKILL).end()
    scene.rollback(allowed=False).succeeded()
    assert scene.serving()[0] in (LIVE, PREVIOUS)


@fault
def status_is_killed(scene):
    command = scene.start("status")
    time.sleep(1)
    command.send(signal.SIGKILL).end()


def silent(scene):
    """Require that status says that the model does not answer."""
    said = scene.run("status").succeeded().said
    assert "does not answer, because" in said, said


@fault
def the_server_is_killed(scene):
    scene.kill(scene.server)
    silent(scene)


@fault
def the_server_and_all_of_its_processes_are_killed_at_once(scene):
    scene.kill(*scene.engines, scene.server)


@fault
def somebody_ends_the_server_gently(scene):
    scene.kill(scene.server, by=signal.SIGTERM)


@fault
def the_server_is_stopped_by_a_signal(scene):
    scene.kill(scene.server, by=signal.SIGSTOP)
    assert "is stopped by a signal" in scene.run("status").succeeded().said


@faults({"once": 1, "both at once": 2})
def the_python_stub_is_killed(scene, count):
    scene.kill(*scene.engines[:count])
    time.sleep(0.3)
    silent(scene)


@fault
def both_python_stubs_are_stopped_by_a_signal(scene):
    engines = scene.engines
    scene.kill(*engines, by=signal.SIGSTOP)
    try:
        silent(scene)
        scene.deploy(LIVE).succeeded()
    finally:
        scene.kill(*engines, by=signal.SIGCONT)


@fault
def rollback_finds_the_python_stubs_dead(scene):
    scene.kill(*scene.engines)
    scene.rollback().succeeded()


@fault
def rollback_finds_its_server_dead(scene):
    scene.kill(scene.server)
    scene.rollback().succeeded()


@fault
def undeploy_finds_its_server_dead(scene):
    scene.kill(scene.server)
    scene.run("undeploy").succeeded()


@fault
def undeploy_finds_its_server_stopped_by_a_signal(scene):
    scene.kill(scene.server, by=signal.SIGSTOP)
    scene.run("undeploy").succeeded()


@faults({"as it starts": 0.0, "while it loads": 0.4, "while it is proven": 1.5})
def the_trial_server_is_killed(scene, later_s):
    command = scene.start("deploy", NEXT)
    trial = scene.trial()
    time.sleep(later_s)
    scene.kill(trial)
    assert told_well(command.end()).code == 1 or scene.serving()[0] == NEXT


def signal_stubs(scene, trial, by):
    """Send a signal to the children of a trial server, once it has any."""
    with contextlib.suppress(psutil.NoSuchProcess):
        wait_for(lambda: not trial.is_running() or trial.children())
        scene.kill(*trial.children(), by=by)


@fault
def the_trial_servers_python_stubs_are_killed(scene):
    command = scene.start("deploy", NEXT)
    signal_stubs(scene, scene.trial(), signal.SIGKILL)
    told_well(command.end())


@fault
def the_trial_server_is_killed_and_its_python_stub_hangs(scene):
    command = scene.start("deploy", NEXT)
    trial = scene.trial()
    signal_stubs(scene, trial, signal.SIGSTOP)
    scene.kill(trial)
    told_well(command.end())


@fault
def the_trial_server_is_killed_in_a_rollback(scene):
    command = scene.start("rollback")
    scene.kill(scene.trial())
    told_well(command.end())


@fault
def the_live_server_is_killed_during_the_trial(scene):
    command = scene.start("deploy", NEXT).until("testing the new version", 0.5)
    scene.kill(scene.server)
    told_well(command.end())


@faults({"at once": 0.0, "a moment later": 0.1, "in the proof": 0.5})
def the_live_server_is_killed_during_the_switch(scene, later_s):
    server = scene.server
    command = scene.start("deploy", NEXT).until("loading the new version", later_s)
    scene.kill(server)
    told_well(command.end())


@fault
def the_live_servers_python_stubs_are_killed_during_the_switch(scene):
    server = scene.server
    command = scene.start("deploy", NEXT).until("loading the new version", 0.1)
    scene.kill(*server.children())
    told_well(command.end())


@fault
def the_live_server_is_killed_during_a_rollback(scene):
    server = scene.server
    command = scene.start("rollback").until("loading the new version", 0.1)
    scene.kill(server)
    told_well(command.end())


@fault
def deploy_hangs_for_some_seconds_and_goes_on(scene):
    command = scene.start("deploy", NEXT).until("loading the new version", 0.0).send(signal.SIGSTOP)
    time.sleep(3)
    told_well(command.send(signal.SIGCONT).end()).succeeded()
