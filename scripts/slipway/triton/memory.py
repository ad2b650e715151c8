"""How much memory a running tritonserver takes, its Python backend's processes included."""

import threading

import psutil


class PeakMemory:
    """Watches the tritonserver processes below this one and keeps the peak for each phase, in MB.

    Model Analyzer's own figure is of the server process alone, but an engine behind the Python backend lives in a child
    of it. Shared pages are counted once (proportional set size).
    """

    def __init__(self, interval_s: float = 0.5) -> None:
        self.peaks: dict[str, float] = {}
        self.phase = ""
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval_s):
            phase, used = self.phase, _servers_below_this_process_mb()
            if used:
                self.peaks[phase] = round(max(self.peaks.get(phase, 0.0), used), 1)


def process_memory_mb(process: psutil.Process) -> float:
    """Return the memory of a process and its children in MB (10^6 bytes), shared pages counted once."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 1e6


def _servers_below_this_process_mb() -> float:
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name() == "tritonserver":
                total += process_memory_mb(process)
        except psutil.NoSuchProcess:
            continue
    return total
