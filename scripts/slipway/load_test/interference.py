"""Disturbances of a load test's measurements: other programs on the CPUs, and reduced clocks of the GPU."""

import contextlib
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import psutil

from slipway.benchmark.gpu_monitor import GpuMonitor, summarise_readings
from slipway.core.repeating import repeating
from slipway.triton.server.leftovers import own_processes


@dataclass
class _Phase:
    """The first and the last reading of a phase: the time, the CPUs' busy seconds, and each own process's seconds."""

    begin: tuple[float, float]
    own_before: dict[int, float]
    end: tuple[float, float] = (0.0, 0.0)
    own: dict[int, float] = field(default_factory=dict)
    gpu: list[dict] = field(default_factory=list)


class Interference:
    """A monitor that reads repeatedly while a load test runs; `phase` gives the name of the point being measured.

    `owner` is the name of the owner of servers in containers: their processes are the load test's own, too.
    """

    def __init__(
        self,
        phase: Callable[[], str],
        gpu: GpuMonitor | None = None,
        interval_s: float = 0.5,
        owner: str | None = None,
    ) -> None:
        self._phase, self._gpu, self._interval_s, self._owner = phase, gpu, interval_s, owner
        self._phases: dict[str, _Phase] = {}

    def watching(self) -> AbstractContextManager[None]:
        """Read repeatedly while a block runs."""
        return repeating(self.read, self._interval_s, "interference")

    def read(self) -> None:
        """Take one reading for the current phase."""
        now, own = (time.monotonic(), _busy_seconds()), _own_seconds(self._owner)
        phase = self._phases.setdefault(self._phase(), _Phase(now, own))
        phase.end = now
        phase.own |= own  # a process that has ended keeps its last reading
        if self._gpu and self._gpu.unavailable is None:
            phase.gpu.append(self._gpu.read())

    def cpu_percent(self, phase: str) -> dict[str, float | None]:
        """Return shares (%) of the CPUs' time: of programs other than the load test's, and of all that is not idle.

        They are "others_cpu_percent" and "cpus_busy_percent", None if the phase was not seen.
        """
        reading = self._phases.get(phase)
        if reading is None or reading.end[0] <= reading.begin[0]:
            return {"others_cpu_percent": None, "cpus_busy_percent": None}
        seconds, busy = (end - begin for begin, end in zip(reading.begin, reading.end, strict=True))
        own = sum(spent - reading.own_before.get(process, 0.0) for process, spent in reading.own.items())
        whole = seconds * len(os.sched_getaffinity(0)) / 100
        return {
            "others_cpu_percent": round(max(0.0, busy - own) / whole, 1),
            "cpus_busy_percent": round(busy / whole, 1),
        }

    def gpu_state(self, phase: str) -> dict | None:
        """Return the summary of the GPU's readings (see `summarise_readings`); None if there are none."""
        reading = self._phases.get(phase)
        return summarise_readings(reading.gpu) if reading and reading.gpu else None


def _busy_seconds() -> float:
    """Return the busy seconds, since the machine's start, of the CPUs that this process may use."""
    usable = os.sched_getaffinity(0)
    times = [each for number, each in enumerate(psutil.cpu_times(percpu=True)) if number in usable]
    # The time of guests is in `user` and `nice` already.
    return sum(each.user + each.nice + each.system + each.irq + each.softirq + each.steal for each in times)


def _own_seconds(owner: str | None) -> dict[int, float]:
    """Return {process: its seconds on CPUs} of this process, its descendants, and the owner's containers."""
    seconds = {}
    for process in [psutil.Process(), *own_processes(owner)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            spent = process.cpu_times()
            seconds[process.pid] = spent.user + spent.system
    return seconds
