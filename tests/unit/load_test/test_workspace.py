"""Where a load test works: what is left of one that was killed is stopped and removed, and others are left alone."""

import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from helpers.patience import PATIENCE_S
from helpers.workplace import REPOSITORY

from slipway.core.errors import SlipwayError
from slipway.load_test import model_analyzer
from slipway.load_test.analyzed_points import RunPlan
from slipway.load_test.workspace import workspace

# Works in a workspace, beside a process that it started, until its input is closed.
LOAD_TEST = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from slipway.load_test.workspace import workspace
from slipway.triton.server.leftovers import owner_variable
with workspace() as folder:
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    beside = subprocess.Popen(waits, env=os.environ | owner_variable(folder.name))
    print(folder, beside.pid, flush=True)
    input()
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Return the folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def running(temporary):
    """Return a load test, its folder and the process beside it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", LOAD_TEST, str(REPOSITORY / "scripts")], **pipes)
    folder, pid = process.stdout.readline().split()
    beside = psutil.Process(int(pid))
    yield process, temporary / folder, beside
    process.kill()
    process.communicate()
    if beside.is_running():
        beside.kill()


def test_nothing_is_left_of_one_that_ends(temporary):
    def fail():
        with workspace() as folder:
            (folder / "engine").touch()
            raise SlipwayError("it could not be measured")

    with pytest.raises(SlipwayError):
        fail()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_one_left_goes_with_its_processes_and_one_that_runs_stays(running, temporary, capfd):
    process, left, beside = running
    with workspace():
        assert left.is_dir()
        assert beside.is_running()
    process.kill()
    process.wait()
    region, foreign = Path("/dev/shm", f"{left.name}-region"), Path("/dev/shm", f"not-{left.name}-region")
    for path in (region, foreign):
        path.touch()
    with workspace() as folder:
        assert not left.exists()
        assert not region.exists()
        assert foreign.exists()
        foreign.unlink()
        psutil.wait_procs([beside], timeout=PATIENCE_S)
        assert not beside.is_running() or beside.status() == psutil.STATUS_ZOMBIE
        assert folder.is_dir()
    assert list(temporary.iterdir()) == []
    assert f"removed {left}" in capfd.readouterr().err


def test_model_analyzer_ends_with_the_load_test(tmp_path, monkeypatch):
    program = "import time; print('measuring', flush=True); time.sleep(600)"
    monkeypatch.setattr(model_analyzer, "START", program)

    def running():
        return [child for child in psutil.Process().children() if program in child.cmdline()]

    def interrupt(_):
        assert running()
        raise KeyboardInterrupt

    plan = RunPlan(1, 60, 0, 30, ("key", ""), False, {}, str(tmp_path / "store"))
    with pytest.raises(KeyboardInterrupt):
        model_analyzer.run({}, plan, tmp_path, interrupt)
    assert not running()
