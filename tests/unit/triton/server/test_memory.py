import os
import shutil
import subprocess
import time

import pytest
from helpers.patience import PATIENCE_S

from slipway.load_test import interference
from slipway.load_test.interference import PointMonitor
from slipway.load_test.limits import counted_memory_mb

BYTES = 50_000_000


class SteppingGpu:
    """A GPU whose memory in use grows with every look, as while a server loads its engines."""

    unavailable = None

    def __init__(self, *used_mb):
        self._used, self.was_read_to_its_end = list(used_mb), False

    def used_memory_mb(self):
        if len(self._used) > 1:
            return self._used.pop(0)
        self.was_read_to_its_end = True
        return self._used[0]

    def read(self):
        return {"memory_used_mb": self.used_memory_mb(), "reasons": None}


@pytest.fixture
def server(tmp_path):
    """Start a process named tritonserver that holds 50 MB in a child of its own, as the Python backend does."""
    program = tmp_path / "tritonserver"
    shutil.copyfile(shutil.which("dash") or os.path.realpath("/bin/sh"), program)
    program.chmod(0o755)
    holds = f"import sys; held = b'x' * {BYTES}; print('up', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [program, "-c", f'python3 -c "{holds}"; true'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "up"
    yield process
    process.communicate()


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(interference, "INTERVAL_S", 0.01)


def watched(monitor):
    """Let the monitor look at one point until it saw the server and all that its GPU tells; return the memory."""
    monitor.restart()
    end = time.monotonic() + PATIENCE_S
    with monitor.watching():
        while not (monitor._peaks and getattr(monitor._gpu, "was_read_to_its_end", True)):
            assert time.monotonic() < end
            time.sleep(0.01)
    return {kind: size for kind, size in monitor.figures().items() if kind.endswith("memory_mb")}


def test_the_children_of_a_server_count(server):
    assert watched(PointMonitor())["memory_mb"] >= BYTES / 1e6


def test_without_a_gpu_its_memory_is_not_told(server):
    assert set(watched(PointMonitor())) == {"memory_mb"}


def test_of_a_gpu_the_peak_above_what_was_there_before_is_kept(server):
    gpu = SteppingGpu(1000.0, 1200.0, 1700.0, 1500.0)
    assert watched(PointMonitor(gpu))["gpu_memory_mb"] == 700


def test_a_gpu_that_does_not_tell_leaves_no_figure(server):
    assert watched(PointMonitor(SteppingGpu(None)))["gpu_memory_mb"] is None


def test_nothing_is_kept_where_no_server_runs():
    monitor = PointMonitor()
    with monitor.watching():
        time.sleep(0.1)
    assert monitor.figures()["memory_mb"] is None


def test_memory_is_that_of_one_point(server):
    monitor = PointMonitor()
    assert watched(monitor)["memory_mb"]
    server.kill()
    server.wait()
    monitor.restart()
    assert monitor.figures()["memory_mb"] is None


@pytest.mark.parametrize(
    ("row", "counted"),
    [({"memory_mb": 5}, 5), ({"memory_mb": 5, "gpu_memory_mb": 7}, 7), ({"memory_mb": 5, "gpu_memory_mb": None}, None)],
)
def test_the_memory_that_counts_is_the_gpus_where_there_is_one(row, counted):
    assert counted_memory_mb(row) == counted
