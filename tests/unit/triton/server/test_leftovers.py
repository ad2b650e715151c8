import contextlib
import os
import secrets
import subprocess
import sys

import psutil
import pytest

from slipway.triton.server.leftovers import SHARED_MEMORY, end_at_once, owner_variable, remove_leftovers

RUNNING, KILLED = (f"slipway-{secrets.token_hex(6)}-0-{secrets.token_hex(6)}" for _ in range(2))


@pytest.fixture
def process_of():
    """Return a function that starts a process that a server with this id would start, and that never ends by itself."""
    started = []

    def start(server_id):
        command = [sys.executable, "-c", "import time; time.sleep(600)", f"{server_id}-region"]
        started.append(subprocess.Popen(command, env=os.environ | owner_variable(server_id)))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def region_of():
    made = []

    def make(server_id):
        made.append(SHARED_MEMORY / f"{server_id}-region")
        made[-1].write_bytes(b"")
        return made[-1]

    yield make
    for path in made:
        path.unlink(missing_ok=True)


def test_a_process_whose_server_was_killed_is_killed_too(process_of, capsys):
    left = process_of(KILLED)
    remove_leftovers(KILLED, but_of=set())
    assert left.poll() is not None
    assert "1 process(es), left by a server that was killed" in capsys.readouterr().err


def test_a_server_that_is_ended_at_once_leaves_no_child_and_no_region(region_of, capsys):
    """The child prints its process id, and ignores SIGTERM, as the server does; another server's region stays."""
    stays = (
        "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(600)"
    )
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stays!r}])"
    region, other = region_of(KILLED), region_of(RUNNING)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        child = int(server.stdout.readline())
        end_at_once(server.pid, KILLED)
        assert server.poll() is not None
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert not region.exists()
    assert other.exists()
    assert capsys.readouterr().err == ""


def test_a_server_that_has_ended_is_no_error(region_of):
    region = region_of(KILLED)
    with subprocess.Popen(["true"]) as server:
        server.wait()
    end_at_once(server.pid, KILLED)
    assert not region.exists()


def test_processes_and_regions_of_a_running_server_stay(process_of, region_of, capsys):
    process, region, left = process_of(RUNNING), region_of(RUNNING), region_of(KILLED)
    for server_id in (RUNNING, KILLED):
        remove_leftovers(server_id, but_of={RUNNING})
    assert process.poll() is None
    assert region.exists()
    assert not left.exists()
    assert "removed 1 region(s)" in capsys.readouterr().err


def test_a_process_that_only_names_the_server_stays():
    command = [sys.executable, "-c", "import time; time.sleep(600)", f"{KILLED}-region"]
    with subprocess.Popen(command) as other:
        try:
            remove_leftovers(KILLED, but_of=set())
            assert other.poll() is None
        finally:
            other.kill()


def test_nothing_is_told_where_nothing_was_left(capsys):
    remove_leftovers(KILLED, but_of=set())
    assert capsys.readouterr().err == ""
