"""Measure how long this process waited for a CPU that other processes used, from the kernel's schedule statistics."""

import contextlib
from pathlib import Path


class CpuWaiting(contextlib.AbstractContextManager):
    """A context manager. After its block, `share` is the share (0..1) of the time that threads waited for a CPU.

    `share` is waiting time / (waiting time + running time), summed over this process's threads. It is None if the
    kernel does not report these times.
    """

    share: float | None = None

    def __enter__(self) -> "CpuWaiting":
        self._before = _by_thread()
        return self

    def __exit__(self, *_: object) -> None:
        spent = [
            (ran - self._before.get(thread, (0, 0))[0], waited - self._before.get(thread, (0, 0))[1])
            for thread, (ran, waited) in _by_thread().items()
        ]
        ran, waited = (sum(times) for times in zip(*spent, strict=True)) if spent else (0, 0)
        self.share = round(waited / (ran + waited), 4) if ran + waited else None


def _by_thread() -> dict[str, tuple[int, int]]:
    """Return {thread: (ns on a CPU, ns waiting for a CPU)} of this process; {} if the kernel reports no such times."""
    times = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError):  # the thread may have ended
            ran, waited, _ = path.read_text(encoding="ascii").split()
            times[path.parent.name] = int(ran), int(waited)
    return times
