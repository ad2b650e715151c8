"""Leftovers of a killed server: processes of its Python backend, and 1 MB of /dev/shm for each instance.

A server that ends normally stops its processes and removes its shared memory regions. For each instance of a Python
model, the server starts a process, Triton's stub. If the server is killed while a stub loads the model, the stub waits
for the server forever.

Each server has an owner's name, such as its id. The names of its regions begin with this name, and all its processes
inherit it in the environment variable SLIPWAY_SERVER. So only leftovers of Slipway's servers are removed.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from slipway.core.cli import progress

SHARED_MEMORY = Path("/dev/shm")
OWNER = "SLIPWAY_SERVER"
# The longest wait (s) for killed processes to end.
ENDING_S = 5.0


def region_flag(owner: str) -> str:
    """Return the flag that makes the names of a server's shared memory regions begin with `owner`, the server's id."""
    return f"--backend-config=python,shm-region-prefix-name={owner}-"


def owner_variable(owner: str) -> dict[str, str]:
    """Return {name: value} of the environment variable with the owner's name, which a server's processes inherit."""
    return {OWNER: f"{owner}-"}


def own_processes(owner: str | None = None) -> list[psutil.Process]:
    """Return the child processes of this process, recursively, and the processes that have `owner` in the environment.

    Processes in containers are children of the container service, so only their environment identifies them.
    """
    below = psutil.Process().children(recursive=True)
    if owner is None:
        return below
    known = {process.pid for process in below}
    others = (process for process in psutil.process_iter() if process.pid not in known | {os.getpid()})
    return [*below, *(process for process in others if _owner(process).startswith(f"{owner}-"))]


def end_at_once(pid: int, owner: str) -> None:
    """Kill a server that answers no requests, and its backends' processes; remove the memory regions of `owner`.

    A server needs two seconds to unload its models and to end by itself. After a measurement, nothing depends on that.
    """
    try:
        server = psutil.Process(pid)
        family = [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    _kill(family)
    _remove(_regions(f"{owner}-"))


def remove_leftovers(begins: str, but_of: set[str]) -> None:
    """Kill the processes and remove the memory regions of servers whose owner's name begins with `begins`.

    Servers in `but_of` still run, so their processes and regions stay. Only processes and regions of this user are
    touched.
    """

    def is_left(owner: str) -> bool:
        return owner.startswith(begins) and not owner.startswith(tuple(but_of))

    processes = [process for process in psutil.process_iter() if is_left(_owner(process))]
    _kill(processes)
    regions = [path for path in _regions(begins) if is_left(path.name)]
    _remove(regions)
    if processes or regions:
        progress(
            f"  removed {len(regions)} region(s) of {SHARED_MEMORY} and {len(processes)} process(es), left by a server "
            "that was killed"
        )


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    end = time.monotonic() + ENDING_S
    while not all(map(_has_ended, processes)) and time.monotonic() < end:
        time.sleep(0.01)


def _has_ended(process: psutil.Process) -> bool:
    """Return whether a process and all its threads have ended, even if its parent has not read the exit code yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


def _regions(begins: str) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{begins}*"))


def _remove(regions: Sequence[Path]) -> None:
    for path in regions:
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                path.unlink()


def _owner(process: psutil.Process) -> str:
    """Return the owner's name in a process's environment; "" if it has none, has ended, or belongs to another user."""
    with contextlib.suppress(psutil.Error, OSError):
        if process.uids().real == os.getuid():
            return process.environ().get(OWNER, "")
    return ""
