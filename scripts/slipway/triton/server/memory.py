"""The memory use of running tritonserver processes, including the processes of the Python backend."""

import contextlib

import psutil

from slipway.triton.server.leftovers import own_processes


def process_memory_mb(process: psutil.Process) -> float:
    """Return the memory in MB (10^6 bytes) of a process and its children. A shared page is counted once."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += member.memory_full_info().pss
    return total / 1e6


def servers_memory_mb(owner: str | None) -> float:
    """Return the memory in MB (10^6 bytes) of the servers that this process started; 0 without a server.

    A server in a container is no child process. It is found by `owner`, its id; None if no server is in a container.
    """
    total = 0.0
    for process in own_processes(owner):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "tritonserver":
                total += process_memory_mb(process)
    return total
