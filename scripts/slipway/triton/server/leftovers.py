"""Leftovers of a server that was killed: processes of its Python backend, and 1 MB of /dev/shm for each instance.

A server that ends normally stops its own processes and removes its own regions of shared memory. For each instance of a
Python model, the server starts a process, Triton's stub. If the server is killed while a stub loads the model, the stub
waits for the server forever.

Each server has an owner's name, such as its id. The names of its regions begin with the owner's name, and all its
processes inherit the owner's name in the environment variable SLIPWAY_SERVER. So no other process or region is removed.
"""

import contextlib
import os
from pathlib import Path

import psutil

from slipway.core.cli import progress

SHARED_MEMORY = Path("/dev/shm")
OWNER = "SLIPWAY_SERVER"


def region_flag(owner: str) -> str:
    """Return the flag that makes the names of a server's shared memory regions begin with `owner`, such as its id."""
    return f"--backend-config=python,shm-region-prefix-name={owner}-"


def owner_variable(owner: str) -> dict[str, str]:
    """Return {name: value} of the environment variable that marks a server's processes: they all inherit it."""
    return {OWNER: f"{owner}-"}


def own_processes(owner: str | None = None) -> list[psutil.Process]:
    """Return the processes below this one, and the processes in containers that were started for `owner`.

    A container's processes are children of its service, and have their owner's name in the environment.
    """
    below = psutil.Process().children(recursive=True)
    if owner is None:
        return below
    known = {process.pid for process in below}
    others = (process for process in psutil.process_iter() if process.pid not in known | {os.getpid()})
    return [*below, *(process for process in others if _owner(process).startswith(f"{owner}-"))]


def remove_leftovers(begins: str, but_of: set[str]) -> None:
    """Kill this user's processes and remove this user's regions of servers whose names begin with `begins`.

    The servers named in `but_of` run: their processes and regions stay.
    """

    def is_left(owner: str) -> bool:
        return owner.startswith(begins) and not owner.startswith(tuple(but_of))

    processes = [process for process in psutil.process_iter() if is_left(_owner(process))]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)
    regions = [path for path in SHARED_MEMORY.glob(f"{begins}*") if is_left(path.name)]
    for path in regions:
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                path.unlink()
    if processes or regions:
        progress(
            f"  removed {len(regions)} region(s) of {SHARED_MEMORY} and {len(processes)} process(es), left by a server "
            "that was killed"
        )


def _owner(process: psutil.Process) -> str:
    """Return the owner that a process inherited; "" if it has none, has ended, or is another user's."""
    with contextlib.suppress(psutil.Error, OSError):
        if process.uids().real == os.getuid():
            return process.environ().get(OWNER, "")
    return ""
