"""The memory of running processes of tritonserver, including the processes of its Python backend."""

import contextlib

import psutil

from slipway.triton.server.leftovers import own_processes


def process_memory_mb(process: psutil.Process) -> float:
    """Return the memory of a process and its children in MB (10^6 bytes); shared pages are counted once."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += member.memory_full_info().pss
    return total / 1e6


def servers_memory_mb(owner: str | None) -> float:
    """Return the memory (MB) of the servers that this process started; 0 without any.

    `owner` is the name of the owner of servers in containers, whose processes are not below this one.
    """
    total = 0.0
    for process in own_processes(owner):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "tritonserver":
                total += process_memory_mb(process)
    return total
