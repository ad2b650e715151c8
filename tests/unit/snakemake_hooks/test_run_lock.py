import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from slipway.keys.code_hash import SCRIPTS
from slipway.snakemake_hooks.run_lock import RunLock

HOLD = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from pathlib import Path
from slipway.snakemake_hooks.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
taken = lock.take()
lock.work()
print(taken, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Return a process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().strip() == "True"
        yield process
        process.kill()


def snakemakes_lock(folder):
    (folder / "locks").mkdir(exist_ok=True)
    (folder / "locks" / "0.output.lock").touch()
    return folder / "locks" / "0.output.lock"


def test_the_second_is_told_who_works_there(other, tmp_path):
    second = RunLock(tmp_path)
    live = snakemakes_lock(tmp_path)
    assert not second.take()
    assert f"process {other.pid} on " in second.holder()
    assert live.exists()


def test_a_killed_holder_is_in_nobodys_way(other, tmp_path):
    stale = snakemakes_lock(tmp_path)
    other.kill()
    other.wait()
    third = RunLock(tmp_path)
    assert third.take()
    assert not stale.exists()
    assert third.killed_run
    third.work()
    assert f"process {os.getpid()} on " in third.holder()


def test_a_run_that_came_to_its_end_was_not_killed(tmp_path):
    first = RunLock(tmp_path)
    assert first.take()
    first.work()
    first.end()
    second = RunLock(tmp_path)
    assert second.take()
    assert second.killed_run is None


def test_whoever_only_looks_is_waited_for(tmp_path):
    """It holds the lock for a moment, and keeps for the next run that the last one was killed."""
    looking, working = RunLock(tmp_path), RunLock(tmp_path)
    (tmp_path / "slipway").mkdir()
    note = {"pid": 1, "host": socket.gethostname(), "since": "now", "run": "killed"}
    (tmp_path / "slipway/running.json").write_text(json.dumps(note))
    assert looking.take()
    assert not working.take()
    threading.Timer(0.2, looking.give_back).start()
    assert working.take(patience_s=10)
    assert working.killed_run == "killed"


@pytest.mark.parametrize("noise", ["null", "{}", "[]", "\0\0", "7", '{"pid": 1}', '{"host": 3, "run": []}'])
def test_a_damaged_note_stops_nobody(tmp_path, noise):
    (tmp_path / "slipway").mkdir()
    (tmp_path / "slipway/running.json").write_text(noise)
    lock = RunLock(tmp_path)
    assert lock.holder() == "another process"
    assert lock.take()
    lock.work()
    assert f"process {os.getpid()} on " in lock.holder()


def test_a_lock_left_on_another_machine_is_not_cleared(tmp_path):
    (tmp_path / "slipway").mkdir()
    (tmp_path / "slipway/running.json").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "now"}))
    kept = snakemakes_lock(tmp_path)
    assert RunLock(tmp_path).take()
    assert kept.exists()


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    kept = snakemakes_lock(tmp_path)
    lock = RunLock(tmp_path)
    assert lock.take()
    assert kept.exists()
    assert "has no locks (Operation not supported)" in lock.caution


def test_where_there_are_locks_nothing_is_cautioned_against(tmp_path):
    lock = RunLock(tmp_path)
    assert lock.take()
    assert lock.caution is None


def test_an_unreadable_note_names_nobody(tmp_path):
    (tmp_path / "slipway").mkdir()
    (tmp_path / "slipway/running.json").write_text("")
    assert RunLock(tmp_path).holder() == "another process"
