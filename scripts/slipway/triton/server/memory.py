"""The memory of a running tritonserver, including the processes of its Python backend."""

import contextlib
from contextlib import AbstractContextManager

import psutil

from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.core.polling import polling
from slipway.triton.server.leftovers import own_processes


class PeakMemory:
    """A monitor of the tritonserver processes that this process started: the peak memory of each phase, in MB.

    `peaks` is {phase: {"memory_mb": ..., "gpu_memory_mb": ...}}. Model Analyzer measures only the server process, but
    an engine behind the Python backend is in a child process. Shared pages are counted once (proportional set size).
    The GPU memory is the increase since this object was made, so make it before the server. `owner` is the name of the
    owner of servers in containers, whose processes are not below this one.
    """

    def __init__(self, interval_s: float = 0.5, gpu: GpuMonitor | None = None, owner: str | None = None) -> None:
        self.peaks: dict[str, dict[str, float]] = {}
        self.phase = ""
        self._interval_s = interval_s
        self._gpu = gpu
        self._owner = owner
        self._gpu_before = self._gpu_memory_mb()

    def watching(self) -> AbstractContextManager[None]:
        """Measure the memory of the servers repeatedly while a block runs."""
        return polling(self.measure, self._interval_s, "peak-memory")

    def measure(self) -> None:
        """Measure the memory once, now. So a phase that is shorter than the interval has a measurement, too."""
        phase, used = self.phase, _servers_mb(self._owner)
        if not used:
            return
        readings, peaks = {"memory_mb": used}, self.peaks.setdefault(phase, {})
        if self._gpu_before is not None and (now := self._gpu_memory_mb()) is not None:
            readings["gpu_memory_mb"] = now - self._gpu_before
        peaks |= {kind: round(max(peaks.get(kind, 0.0), now), 1) for kind, now in readings.items()}

    def _gpu_memory_mb(self) -> float | None:
        return self._gpu.used_memory_mb() if self._gpu else None


def process_memory_mb(process: psutil.Process) -> float:
    """Return the memory of a process and its children in MB (10^6 bytes); shared pages are counted once."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += member.memory_full_info().pss
    return total / 1e6


def _servers_mb(owner: str | None) -> float:
    total = 0.0
    for process in own_processes(owner):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "tritonserver":
                total += process_memory_mb(process)
    return total
