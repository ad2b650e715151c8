"""Disturbances of a load test's measurements, by other programs or reduced clocks of the GPU; the servers' memory."""

import contextlib
import os
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import psutil

from slipway.benchmark.gpu_monitor import GpuMonitor, summarise_readings
from slipway.core.polling import polling
from slipway.triton.server.leftovers import own_processes
from slipway.triton.server.memory import servers_memory_mb

INTERVAL_S = 0.5


@dataclass
class _Readings:
    """The first and the last reading of a point: the time, the CPUs' busy seconds, and each own process's seconds."""

    begin: tuple[float, float]
    own_before: dict[int, float]
    end: tuple[float, float]
    own: dict[int, float]
    gpu: list[dict] = field(default_factory=list)


class Interference:
    """A monitor of the CPUs' times, and of a GPU's state, since its start or since the last `restart`.

    `gpu` is the monitor of a GPU target, None on a CPU target. `owner` is the name of the owner of servers in
    containers: their processes are the load test's own, too.
    """

    def __init__(self, gpu: GpuMonitor | None = None, owner: str | None = None) -> None:
        self._gpu, self._owner = gpu, owner
        self.restart()

    def watching(self) -> AbstractContextManager[None]:
        """Read the CPUs' times, and a GPU's state, every INTERVAL_S seconds while a block runs."""
        return polling(self.read, INTERVAL_S, "interference")

    def restart(self) -> None:
        """Forget all readings, and take a first reading of the CPUs' times."""
        now, own = (time.monotonic(), _busy_seconds()), _own_seconds(self._owner)
        self._readings = _Readings(now, own, now, dict(own))

    def read(self) -> None:
        """Take one reading of the CPUs' times and, on a GPU target, of the GPU's state."""
        readings = self._readings
        readings.end = time.monotonic(), _busy_seconds()
        readings.own |= _own_seconds(self._owner)  # a process that has ended keeps its last reading
        if self._gpu and self._gpu.unavailable is None:
            readings.gpu.append(self._gpu.read())

    def figures(self) -> dict:
        """Return two shares (%) of the CPUs' time and, on a GPU target, the GPU's state.

        "others_cpu_percent" is the share that programs outside of the load test took, "cpus_busy_percent" the share in
        which any program ran. "gpu_state" is the summary of the GPU's readings (see `summarise_readings`), or None
        without readings.
        """
        self.read()
        readings = self._readings
        seconds, busy = (end - begin for begin, end in zip(readings.begin, readings.end, strict=True))
        own = sum(spent - readings.own_before.get(process, 0.0) for process, spent in readings.own.items())
        whole = seconds * len(os.sched_getaffinity(0)) / 100
        state = {"gpu_state": summarise_readings(readings.gpu) if readings.gpu else None} if self._gpu else {}
        return {
            "others_cpu_percent": round(max(0.0, busy - own) / whole, 1),
            "cpus_busy_percent": round(busy / whole, 1),
            **state,
        }


class PointMonitor(Interference):
    """A monitor of disturbances that also sees the peak memory of the servers that this process started, in MB.

    Model Analyzer measures only the server process, but an engine behind the Python backend is in a child process. The
    GPU memory is the increase since this object was made, so make it before the server.
    """

    def __init__(self, gpu: GpuMonitor | None = None, owner: str | None = None) -> None:
        self._gpu_before = gpu.used_memory_mb() if gpu else None
        super().__init__(gpu, owner)

    def restart(self) -> None:
        """Forget all readings, and the peaks."""
        self._peaks: dict[str, float] = {}
        super().restart()

    def read(self) -> None:
        """Take one reading of the CPUs' times, of the servers' memory and, on a GPU target, of the GPU's state."""
        peaks = self._peaks  # of this point, even if the next one begins during the reading
        super().read()
        if not (used := servers_memory_mb(self._owner)):
            return
        now = {"memory_mb": used}
        of_gpu = self._readings.gpu[-1]["memory_used_mb"] if self._readings.gpu else None
        if of_gpu is not None and self._gpu_before is not None:
            now["gpu_memory_mb"] = of_gpu - self._gpu_before
        peaks |= {kind: round(max(peaks.get(kind, 0.0), size), 1) for kind, size in now.items()}

    def figures(self) -> dict:
        """Return the peak "memory_mb" and, on a GPU target, "gpu_memory_mb", None if unknown, and the disturbances."""
        disturbances = super().figures()
        kinds = ("memory_mb", "gpu_memory_mb") if self._gpu else ("memory_mb",)
        return {kind: self._peaks.get(kind) for kind in kinds} | disturbances


def _busy_seconds() -> float:
    """Return the busy seconds, since the machine's start, of the CPUs that this process may use."""
    usable = os.sched_getaffinity(0)
    times = [cpu for number, cpu in enumerate(psutil.cpu_times(percpu=True)) if number in usable]
    # The time of guests is in `user` and `nice` already.
    return sum(cpu.user + cpu.nice + cpu.system + cpu.irq + cpu.softirq + cpu.steal for cpu in times)


def _own_seconds(owner: str | None) -> dict[int, float]:
    """Return {process: its seconds on CPUs} of this process, its descendants, and the owner's containers."""
    seconds = {}
    for process in [psutil.Process(), *own_processes(owner)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            spent = process.cpu_times()
            seconds[process.pid] = spent.user + spent.system
    return seconds
