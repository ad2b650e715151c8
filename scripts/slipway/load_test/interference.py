"""Monitor the measurements of a load test: CPU time of other programs, reduced GPU clocks, memory of the servers."""

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
    """The first and the last reading of a point's measurement, and all readings of the GPU (see `GpuMonitor.read`).

    `begin` and `end` are (time, busy seconds of the CPUs). `own_before` and `own` are {process ID of the load test: its
    CPU seconds}.
    """

    begin: tuple[float, float]
    own_before: dict[int, float]
    end: tuple[float, float]
    own: dict[int, float]
    gpu: list[dict] = field(default_factory=list)


class Interference:
    """Measures how much other programs disturb a measurement: CPU times and a GPU's state, since the last `restart`.

    `gpu` is the monitor of a GPU target's GPU; None on a CPU target. `owner` is the owner's name of the load test's
    containers, whose processes count as the load test's own; None without containers.
    """

    def __init__(self, gpu: GpuMonitor | None = None, owner: str | None = None) -> None:
        self._gpu, self._owner = gpu, owner
        self.restart()

    def watching(self) -> AbstractContextManager[None]:
        """Context manager: call `read` every INTERVAL_S seconds while its block runs."""
        return polling(self.read, INTERVAL_S, "interference")

    def restart(self) -> None:
        """Begin a new measurement: forget all readings, and take a first reading of the CPUs' times."""
        now, own = (time.monotonic(), _busy_seconds()), _own_seconds(self._owner)
        self._readings = _Readings(now, own, now, dict(own))

    def read(self) -> None:
        """Take one reading of the CPUs' times and, on a GPU target, of the GPU's state, for `figures`."""
        readings = self._readings
        readings.end = time.monotonic(), _busy_seconds()
        readings.own |= _own_seconds(self._owner)  # a process that has ended keeps its last reading
        if self._gpu and self._gpu.unavailable is None:
            readings.gpu.append(self._gpu.read())

    def figures(self) -> dict:
        """Return the disturbances since the last `restart`, {"others_cpu_percent", "cpus_busy_percent"}.

        On a GPU target, also return "gpu_state". The percentages are shares of the time of all usable CPUs:
        "others_cpu_percent" of programs outside of the load test, "cpus_busy_percent" of all programs. "gpu_state" is
        the summary of the GPU's readings (see `summarise_readings`), or None without readings.
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
    """An `Interference` monitor that also records the peak memory (MB) of the servers that this process started.

    Model Analyzer measures only the server process, but the Python backend runs an engine in a child process. The GPU
    memory is the increase since the monitor was made, so make the monitor before the server starts. `gpu` and `owner`
    are those of `Interference`.
    """

    def __init__(self, gpu: GpuMonitor | None = None, owner: str | None = None) -> None:
        self._gpu_before = gpu.used_memory_mb() if gpu else None
        super().__init__(gpu, owner)

    def restart(self) -> None:
        """Begin a new measurement: forget all readings and peaks, and take a first reading of the CPUs' times."""
        self._peaks: dict[str, float] = {}
        super().restart()

    def read(self) -> None:
        """Take one reading for `figures`: CPU times, the servers' memory and, on a GPU target, the GPU's state."""
        peaks = self._peaks  # the peaks of this point, even if the next point begins meanwhile
        super().read()
        if not (used := servers_memory_mb(self._owner)):
            return
        now = {"memory_mb": used}
        of_gpu = self._readings.gpu[-1]["memory_used_mb"] if self._readings.gpu else None
        if of_gpu is not None and self._gpu_before is not None:
            now["gpu_memory_mb"] = of_gpu - self._gpu_before
        peaks |= {kind: round(max(peaks.get(kind, 0.0), size), 1) for kind, size in now.items()}

    def figures(self) -> dict:
        """Return the peak "memory_mb", on a GPU target also "gpu_memory_mb", and the figures of `Interference.figures`.

        The peaks (MB) are those since the last `restart`. A peak is None if it is unknown.
        """
        disturbances = super().figures()
        kinds = ("memory_mb", "gpu_memory_mb") if self._gpu else ("memory_mb",)
        return {kind: self._peaks.get(kind) for kind in kinds} | disturbances


def _busy_seconds() -> float:
    """Return the busy seconds since boot, summed over the CPUs that this process may use."""
    usable = os.sched_getaffinity(0)
    times = [cpu for number, cpu in enumerate(psutil.cpu_times(percpu=True)) if number in usable]
    # The time of guests is in `user` and `nice` already.
    return sum(cpu.user + cpu.nice + cpu.system + cpu.irq + cpu.softirq + cpu.steal for cpu in times)


def _own_seconds(owner: str | None) -> dict[int, float]:
    """Return {process ID: CPU seconds} of the load test: this process, its descendants, and the owner's containers."""
    seconds = {}
    for process in [psutil.Process(), *own_processes(owner)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            spent = process.cpu_times()
            seconds[process.pid] = spent.user + spent.system
    return seconds
