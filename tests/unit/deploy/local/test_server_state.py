import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from helpers.artifacts.damages import DAMAGES, damage

from slipway.core.artifacts import write_json
from slipway.deploy.local.server_state import (
    current_generation,
    forget_state,
    is_running,
    new_id,
    read_state,
    recover_state,
    running_server,
    state_file,
    unrecorded_servers,
    who_listens,
    write_state,
)

LISTENING = {"host": "127.0.0.1", "http": 1, "grpc": 2, "metrics": 3}


def recorded(folder, pid, generation, identity=None, server_id="slipway-1"):
    return write_state(folder, pid, generation, LISTENING, identity, server_id)


@pytest.fixture
def process():
    """Return a process that waits until its input is closed."""
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.communicate()


def test_there_is_no_state_at_first(tmp_path):
    assert read_state(tmp_path) is None
    assert is_running(None) is False
    assert current_generation(tmp_path) == 1


def test_the_state_reads_back(tmp_path, process):
    written = recorded(tmp_path / "below", process.pid, 4)
    assert read_state(tmp_path / "below") == written
    assert (written["pid"], written["generation"], written["listening"]) == (process.pid, 4, LISTENING)


def test_a_live_process_runs(tmp_path, process):
    assert is_running(recorded(tmp_path, process.pid, 1))


def test_a_process_is_known_again_after_the_clock_was_set(tmp_path, process, monkeypatch):
    state = recorded(tmp_path, process.pid, 1)
    started = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: started + 7)  # how psutil sees a clock that was set
    assert psutil.boot_time() == started + 7
    assert is_running(state)


def test_a_dead_process_does_not(tmp_path, process):
    state = recorded(tmp_path, process.pid, 1)
    process.kill()
    process.communicate()
    assert not is_running(state)


def test_a_dead_process_that_nobody_collected_does_not(tmp_path, process):
    state = recorded(tmp_path, process.pid, 1)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert not is_running(state)


def test_another_process_with_the_same_id_is_not_it(tmp_path, process):
    state = recorded(tmp_path, process.pid, 1)
    assert not is_running(state | {"created": state["created"] - 60})


def test_the_start_number_stays_while_the_server_runs(tmp_path, process):
    recorded(tmp_path, process.pid, 3)
    assert current_generation(tmp_path) == 3
    assert current_generation(tmp_path) == 3


def test_the_start_number_is_the_next_once_the_server_died(tmp_path, process):
    recorded(tmp_path, process.pid, 3)
    process.kill()
    process.communicate()
    assert current_generation(tmp_path) == 4


def test_the_start_number_is_the_next_when_the_id_was_reused(tmp_path, process):
    state = recorded(tmp_path, process.pid, 3)
    write_json(state_file(tmp_path), state | {"created": state["created"] - 60})
    assert current_generation(tmp_path) == 4


def test_forgetting_is_for_good_and_may_be_repeated(tmp_path, process):
    recorded(tmp_path, process.pid, 3)
    forget_state(tmp_path)
    forget_state(tmp_path)
    assert read_state(tmp_path) is None


def flags_of_sixth_start(folder):
    listening = [f"--{name}-port={port}" for name, port in (("http", 1), ("grpc", 2), ("metrics", 3))]
    return [*listening, "--grpc-address=127.0.0.1", f"--id={new_id(folder, 6)}"]


@pytest.fixture
def own(tmp_path):
    """Return a process with the command line of a server that was started here for the sixth time."""
    command = [sys.executable, "-c", "input()", *flags_of_sixth_start(tmp_path)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.communicate()


# An earlier Slipway named the generation "start".
EARLIER = '{"pid": 1, "created": 1.0, "start": 6, "listening": {"grpc": 2, "metrics": 3, "host": "127.0.0.1"}}'


@pytest.mark.parametrize("content", [*DAMAGES, '{"pid": -1, "created": 1.0}', EARLIER])
def test_a_server_whose_record_is_damaged_or_earlier_is_known_by_its_command_line_and_recorded_again(
    tmp_path, own, content
):
    damage(state_file(tmp_path), content)
    found = recover_state(tmp_path)
    assert (found["pid"], found["generation"], found["listening"]) == (own.pid, 6, LISTENING | {"tls": None})
    assert read_state(tmp_path) == found
    assert current_generation(tmp_path) == 6


@pytest.mark.parametrize("content", [*DAMAGES, '{"pid": -1, "created": 1.0}'])
def test_a_damaged_record_without_a_server_is_in_nobodys_way(tmp_path, content):
    damage(state_file(tmp_path), content)
    assert running_server(tmp_path) is None
    assert current_generation(tmp_path) == 1
    forget_state(tmp_path)
    assert not state_file(tmp_path).exists()


def test_a_server_that_was_started_and_not_recorded_is_the_one_that_was_intended(tmp_path, own):
    server_id = psutil.Process(own.pid).cmdline()[-1].removeprefix("--id=")
    recorded(tmp_path, None, 6, {"program": "tritonserver"}, server_id)
    found = running_server(tmp_path)
    assert (found["pid"], found["identity"]) == (own.pid, {"program": "tritonserver"})
    assert is_running(found)


FORKS = """
import os, signal
child = os.fork()
if child == 0:
    signal.pause()
print(child, flush=True)
input()
os.kill(child, signal.SIGKILL)
"""


def test_a_child_that_a_server_has_just_forked_is_no_other_server(tmp_path):
    """Until the child executes its own program, it has the server's command line."""
    command = [sys.executable, "-c", FORKS, *flags_of_sixth_start(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        child = int(server.stdout.readline())
        assert psutil.Process(child).cmdline() == psutil.Process(server.pid).cmdline()
        found = [state["pid"] for state in unrecorded_servers(tmp_path)]
        server.communicate("\n")
    assert found == [server.pid]


def test_an_intent_without_a_server_is_of_none(tmp_path):
    recorded(tmp_path, None, 6, server_id=new_id(tmp_path, 6))
    assert running_server(tmp_path) is None
    assert current_generation(tmp_path) == 7


def test_the_server_of_another_checkout_is_none_of_ours(tmp_path, own):
    assert running_server(tmp_path / "elsewhere") is None


def test_a_copied_checkout_leaves_the_server_of_the_original_alone_and_a_moved_one_keeps_it(tmp_path, process):
    first = tmp_path / "first/results/.server"
    state = recorded(first, process.pid, 3, server_id=new_id(first, 3))
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    assert running_server(tmp_path / "copy/results/.server") is None
    assert running_server(first) == state
    (tmp_path / "first").rename(tmp_path / "moved")
    assert running_server(tmp_path / "moved/results/.server") == state


def test_a_lost_record_is_found_in_the_receipt_with_all_that_the_server_was_started_with(tmp_path, process):
    state = recorded(tmp_path / "results/.server", process.pid, 3, {"program": "tritonserver"})
    write_json(tmp_path / "results/m/deploy/receipt.json", {"contents": {"server": state}})
    state_file(tmp_path / "results/.server").unlink()
    assert running_server(tmp_path / "results/.server") == state
    process.kill()
    process.communicate()
    assert current_generation(tmp_path / "results/.server") == 4


def test_who_listens_names_the_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = who_listens(server.getsockname()[1])
    assert f"process {os.getpid()} " in found
    assert psutil.Process().name() in found


def test_who_listens_does_not_take_a_client_for_a_server():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert str(os.getpid()) not in who_listens(client.getsockname()[1])
