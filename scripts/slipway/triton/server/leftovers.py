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
    """Return tritonserver's flag with which the names of its shared memory regions begin with `owner`.

    By this name, such as the server's id, the regions of a killed server are found.
    """
    return f"--backend-config=python,shm-region-prefix-name={owner}-"


def owner_variable(owner: str) -> dict[str, str]:
    """Return {environment variable: value} by which a server's processes are found later.

    `owner` is the name of the server, such as its id.
    """
    return {OWNER: f"{owner}-"}


def own_processes(owner: str | None = None) -> list[psutil.Process]:
    """Return the child processes of this process, recursively, and the processes of the server named `owner`.

    The owner's name, such as the server's id, is in the environment of the server's processes. It finds processes in
    containers, which are children of the container service. If `owner` is None, return only the child processes.
    """
    below = psutil.Process().children(recursive=True)
    if owner is None:
        return below
    known = {process.pid for process in below}
    others = (process for process in psutil.process_iter() if process.pid not in known | {os.getpid()})
    return [*below, *(process for process in others if _owner(process).startswith(f"{owner}-"))]


def end_at_once(pid: int, owner: str) -> None:
    """Kill the server `pid`, which answers no requests, and its child processes, and remove its shared memory.

    The names of its memory regions begin with `owner`, a name such as the server's id. This saves the two seconds that
    a server needs to unload its models and to end by itself.
    """
    try:
        server = psutil.Process(pid)
        family = [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    _kill(family)
    _remove(_regions(f"{owner}-"))


def remove_leftovers(begins: str, but_of: set[str]) -> None:
    """Kill the processes and remove the memory regions that killed servers left, if their names begin with `begins`.

    A server's name is, for example, its id. `but_of` are the names of servers that still run; their processes and
    regions stay. Only processes and regions of this user are touched.
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
