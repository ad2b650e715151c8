"""Which server is replaced, and what is served when that fails; processes that only wait stand in for servers."""

import errno
import subprocess
import sys
from argparse import Namespace
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
import pytest
from helpers.models import parts

import undeploy
from slipway.core.errors import SlipwayError
from slipway.deploy import transaction
from slipway.deploy.ledger import Ledger
from slipway.deploy.local import server_state, switching
from slipway.deploy.local.installation import TRIAL, UNSERVED_S, lock
from slipway.deploy.local.platform import Local
from slipway.deploy.local.stuck_loads import Stuck
from slipway.deploy.local.switching import require_own_ports, stop_trial, takes_versions
from slipway.deploy.release_history import DeploymentState
from slipway.triton.client.ports import Ports

OLD, NEW = Ports(1, 2, 3), Ports(4, 5, 6)
BEFORE = {"m": 1, "added": None}


class WaitingServer:
    """A process that waits; it does not become ready when it is told so."""

    def __init__(self, why_not=None, ports=None, server_id="stand-in"):
        self.why_not, self.ports, self.id = why_not, ports, server_id

    def start(self):
        command = [sys.executable, "-c", "input()", f"--id={self.id}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
        self.pid = self.process.pid
        return self.process

    def wait_until_ready(self, _):
        if self.why_not:
            raise SlipwayError(self.why_not)
        return 0.1

    def require_own(self):
        """Be the one that answers."""


@dataclass
class WaitingPlace:
    """Stands in for installation.LocalInstallation; `why_not` are the next servers' reasons not to become ready."""

    state: Path
    why_not: list = field(default_factory=list)
    selected: dict = field(default_factory=dict)
    started: list = field(default_factory=list)
    ready_timeout_s: float = 1
    identity: dict = field(default_factory=dict)
    changed: set = field(default_factory=set)

    @property
    def store(self):
        return self

    @property
    def models(self):
        return self.state

    @property
    def ledger(self):
        return Ledger(self.state / "live.json")

    def select(self, name, number):
        self.selected[name] = number

    def require_whole(self, name, number):
        if name in self.changed:
            raise SlipwayError(f"version {number} of {name} is not what was proven (edited: model.py)")

    def server(self, _, names, ports, __, server_id):
        self.started.append((names, ports))
        return WaitingServer(self.why_not.pop(0) if self.why_not else None, ports, server_id)


RELEASE = parts.release(
    parts.part({"name": "m"}, number=2), parts.part({"name": "added"}, number=1, model="added", target="gpu")
)


@pytest.fixture
def place(tmp_path):
    """Return a place where a server is live at OLD; what runs there is ended."""
    made = WaitingPlace(tmp_path / "state")
    process = WaitingServer().start()
    server_state.write_state(made.state, process.pid, 1, asdict(OLD), None, "stand-in")
    yield made
    for child in psutil.Process().children():
        child.kill()
        child.wait()


def refuse(_):
    raise SlipwayError("another answer than the reference outputs")


def replaced(place, prove=lambda _: ["proof"], ports=NEW, before=BEFORE):
    """Replace the live server, which does not answer; `prove` stands in for the proof at the new one's ports."""
    server = Local({}, Namespace(state=place.state, server_generation=2, ready_timeout_s=1))
    vars(server).update(_installation=place, ports=ports)
    snapshot = {"server": server_state.running_server(place.state), "before": before, "beside": False}
    history = Namespace(restored=lambda: None)
    with pytest.MonkeyPatch.context() as context:
        context.setattr(transaction, "verify", lambda *_, **__: prove(ports))
        return transaction.replace(server, RELEASE, snapshot, history, under_load=True)


@pytest.mark.parametrize(
    ("serving", "is_running", "before"),
    [
        ({"m": 1, "other": 3}, True, {"m": 1, "added": None, "other": 3}),
        ({"m": 1}, False, {"m": 1, "added": None}),
        ({}, True, {"m": None, "added": 7}),
        ({}, False, {"m": None, "added": None}),
    ],
    ids=["all live models", "of a dead server", "one without a record", "never live"],
)
def test_what_is_gone_back_to_is_all_that_was_live(place, monkeypatch, serving, is_running, before):
    monkeypatch.setattr("slipway.deploy.local.platform.is_silent", lambda _: False)
    if not is_running:
        dead = psutil.Process(server_state.running_server(place.state)["pid"])
        dead.kill()
        dead.wait()
    server = Local({}, Namespace(state=place.state))
    store = Namespace(selected=lambda _: 7, versions={"m": [7], "added": []}.get)
    server._installation = Namespace(store=store)
    assert server.snapshot(RELEASE, DeploymentState(serving=serving))["before"] == before


def test_another_server_takes_the_place_of_the_old_one(place):
    old = server_state.running_server(place.state)["pid"]
    assert replaced(place) == ["proof"]
    now = server_state.running_server(place.state)
    assert now["listening"] == asdict(NEW)
    assert place.selected == {"m": 2, "added": 1}
    assert not psutil.pid_exists(old)


@pytest.mark.parametrize("fault", ["not ready", "not proven", "interrupted"])
def test_what_was_live_is_served_again_when_the_new_server_does_not_hold(place, fault):
    place.why_not = ["not ready within 1 s"] if fault == "not ready" else []

    def interrupt(_):
        raise KeyboardInterrupt

    prove = {"not ready": refuse, "not proven": refuse, "interrupted": interrupt}[fault]
    error, told = {
        "not ready": (SlipwayError, "not ready within 1 s\nThe versions that were live are served again."),
        "not proven": (SlipwayError, "reference outputs\nThe versions that were live are served again."),
        "interrupted": (KeyboardInterrupt, None),
    }[fault]
    with pytest.raises(error, match=told):
        replaced(place, prove)
    assert server_state.running_server(place.state)["listening"] == asdict(OLD)
    assert place.selected["m"] == 1
    assert place.started == [(["m", "added"], NEW), (["m"], OLD)]
    assert len(psutil.Process().children()) == 1, "one server alone is left"


def test_when_the_old_one_does_not_start_either_both_reasons_are_told_and_nothing_is_left(place):
    place.why_not = ["not ready within 1 s", "the port was taken meanwhile"]
    with pytest.raises(SlipwayError) as caught:
        replaced(place)
    assert str(caught.value).splitlines() == [
        "not ready within 1 s",
        "Restoring the previous version failed, too: the port was taken meanwhile",
        "It is unknown which version serves now; `snakemake --cores 1 status` shows it. The next deployment continues "
        "from here, and knows the previous version.",
    ]
    assert server_state.read_state(place.state) is None
    assert not psutil.Process().children()


def test_what_was_changed_since_it_was_proven_is_not_started_again(place):
    place.changed = {"m"}
    with pytest.raises(SlipwayError) as caught:
        replaced(place, refuse)
    assert "version 1 of m is not what was proven (edited: model.py)" in str(caught.value)
    assert place.started == [(["m", "added"], NEW)]
    assert not psutil.Process().children()


def test_a_full_disk_right_after_the_start_leaves_no_server(place, monkeypatch):
    def full(folder, pid, *_):
        if pid is not None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(server_state, "write_state", full)
    with pytest.raises(OSError, match="No space left on device"):
        replaced(place)
    assert len(place.started) == 2
    assert not psutil.Process().children()
    assert server_state.read_state(place.state) is None


def test_a_server_that_does_not_answer_is_replaced_at_once(place, monkeypatch):
    stopped = []
    place.store.ledger.went_live(BEFORE | {"added": 1})
    monkeypatch.setattr(
        "slipway.deploy.local.platform.stop_process", lambda pid, s: stopped.append(s) or psutil.Process(pid).kill()
    )
    assert replaced(place, ports=OLD) == ["proof"]
    assert stopped[0] == UNSERVED_S
    assert server_state.running_server(place.state)["generation"] == 2


def going_back(place, monkeypatch, silent, load_again=lambda *_: None):
    """Restore what was live after a switch in the running server; return the sentence about it."""
    monkeypatch.setattr("slipway.deploy.local.platform.is_silent", lambda _: silent)
    monkeypatch.setattr(switching, "load_again", load_again)
    server = Local({}, Namespace(state=place.state, server_generation=2, ready_timeout_s=1))
    vars(server).update(_installation=place, _switching=True)
    snapshot = {"server": server_state.running_server(place.state), "before": BEFORE, "beside": True}
    return server.restore(RELEASE, snapshot)


def test_after_a_load_that_does_not_end_the_server_serves_on_and_is_replaced_by_the_next_deployment(place, monkeypatch):
    def never_ends(*_):
        raise Stuck("Triton does not end a load")

    before = server_state.running_server(place.state)
    assert "the next deployment replaces it" in going_back(place, monkeypatch, silent=False, load_again=never_ends)
    assert server_state.is_running(before)
    assert not takes_versions(server_state.running_server(place.state), place, OLD)


def test_a_server_that_died_in_the_switch_is_started_anew_with_what_was_live(place, monkeypatch):
    def never_called(*_):
        raise AssertionError("a dead server loads nothing")

    said = going_back(place, monkeypatch, silent=True, load_again=never_called)
    assert said == "The versions that were live are served again."
    assert place.started == [(["m"], OLD)]
    assert len(psutil.Process().children()) == 1, "one server alone is left"


def test_a_first_server_that_does_not_hold_is_stopped(place):
    undeploy.main(undeploy.parse_arguments(["--results", "none", "--state", str(place.state)]))
    with pytest.raises(SlipwayError, match=r"^another answer than the reference outputs\nNothing was live before"):
        replaced(place, refuse, before=dict.fromkeys(BEFORE))
    assert not psutil.Process().children()


def test_undeploying_stops_the_live_server_and_one_that_a_killed_deployment_left_on_trial(place, tmp_path, capsys):
    trial = WaitingServer().start()
    server_state.write_state(place.state / TRIAL, trial.pid, 0, asdict(NEW), None, "stand-in")
    receipt = tmp_path / "m" / "deploy" / "receipt.json"
    receipt.mkdir(parents=True)
    options = undeploy.parse_arguments(["--results", str(tmp_path / "m"), "--state", str(place.state)])
    with lock(place.state), pytest.raises(SlipwayError, match="another deployment of this checkout is under way"):
        undeploy.main(options)
    assert receipt.exists()
    undeploy.main(options)
    assert not psutil.Process().children()
    assert not receipt.exists()
    assert "removed tritonserver" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["192.0.2.1", "::1"])
def test_an_address_where_nobody_may_listen_is_told(host):
    with pytest.raises(SlipwayError, match=f"of the address {host} cannot be listened on .* another `deploy.host`"):
        require_own_ports(Ports(1, 2, 3, host), None)


@pytest.mark.parametrize("in_the_way", ["a file", "a link to nowhere"])
def test_a_file_in_place_of_the_trials_folder_is_no_obstacle(tmp_path, in_the_way):
    trial = tmp_path / TRIAL
    if in_the_way == "a file":
        trial.write_text("in the way", encoding="utf-8")
    else:
        trial.symlink_to("nowhere")
    stop_trial(tmp_path)
    server_state.write_state(trial, None, 0, asdict(NEW), None, "stand-in")
