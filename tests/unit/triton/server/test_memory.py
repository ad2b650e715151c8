import os
import shutil
import subprocess
import time

import pytest

from slipway.load_test.limits import counted_memory_mb
from slipway.triton.server.memory import PeakMemory

BYTES = 50_000_000


class SteppingGpu:
    """A GPU whose memory in use grows with every look, as while a server loads its engines."""

    def __init__(self, *used_mb):
        self._used = list(used_mb)

    def used_memory_mb(self):
        return self._used.pop(0) if len(self._used) > 1 else self._used[0]


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


def watched(memory):
    """Let the watcher look a few times."""
    end = time.monotonic() + 10
    with memory.watching():
        memory.phase = "variant/4"
        while "variant/4" not in memory.peaks and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
    return memory.peaks["variant/4"]


def test_the_children_of_a_server_count(server):
    assert watched(PeakMemory(interval_s=0.01))["memory_mb"] >= BYTES / 1e6


def test_without_a_gpu_its_memory_is_not_told(server):
    assert set(watched(PeakMemory(interval_s=0.01))) == {"memory_mb"}


def test_of_a_gpu_the_peak_above_what_was_there_before_is_kept(server):
    gpu = SteppingGpu(1000.0, 1200.0, 1700.0, 1500.0)
    assert watched(PeakMemory(interval_s=0.01, gpu=gpu))["gpu_memory_mb"] == 700


def test_a_gpu_that_does_not_tell_leaves_no_figure(server):
    assert set(watched(PeakMemory(interval_s=0.01, gpu=SteppingGpu(None)))) == {"memory_mb"}


def test_nothing_is_kept_where_no_server_runs():
    memory = PeakMemory(interval_s=0.01)
    with memory.watching():
        time.sleep(0.1)
    assert memory.peaks == {}


@pytest.mark.parametrize(
    ("row", "counted"),
    [({"memory_mb": 5}, 5), ({"memory_mb": 5, "gpu_memory_mb": 7}, 7), ({"memory_mb": 5, "gpu_memory_mb": None}, None)],
)
def test_the_memory_that_counts_is_the_gpus_where_there_is_one(row, counted):
    assert counted_memory_mb(row) == counted
