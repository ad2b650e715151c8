"""Check that the server at some ports is the process that Slipway started, and no other program.

Slipway gives each server a random id in its command line, and the server states this id in its metadata.
"""

import contextlib
import time
from collections.abc import Iterator
from types import ModuleType

import psutil
from tritonclient.utils import InferenceServerException

from slipway.core.errors import SlipwayError
from slipway.deploy.local.server_state import who_listens
from slipway.triton.client.connection import Deadline, connect, errors_as
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.ports import Ports
from slipway.triton.server.leftovers import ENDING_S, own_processes

# Deadline of one request for a server's id and readiness.
IDENTITY_DEADLINE_S = 10.0


def is_ready(pid: int, server_id: str, ports: Ports) -> bool:
    """Say whether the process `pid` serves at `ports` under the id `server_id`, and is ready with all its models."""
    if foreign_ports(pid, ports):
        return False
    deadline = Deadline(IDENTITY_DEADLINE_S)
    with connect(endpoint_of(ports)) as client:
        try:
            own = client.get_server_metadata(client_timeout=deadline.left_s()).name == server_id
            return own and client.is_server_ready(client_timeout=deadline.left_s())
        except InferenceServerException:
            return False


def require_own(pid: int, server_id: str, ports: Ports, deadline_s: float = IDENTITY_DEADLINE_S) -> None:
    """Raise SlipwayError unless the server that answers at `ports` is the process `pid` (or a child) with this id.

    `deadline_s` is the longest wait, in seconds, for the server's answer.
    """
    if foreign := foreign_ports(pid, ports):
        raise SlipwayError(
            f"{who_listens(foreign[0])} listens on port {foreign[0]} of {ports.host}, not the server that was started "
            f"here (process {pid}), so no answer from there is a proof. Stop that program, or set another port under "
            "`deploy` in config.yaml"
        )
    with connect(endpoint_of(ports)) as client, errors_as(f"the server on port {ports.grpc} does not answer"):
        stated_id = client.get_server_metadata(client_timeout=deadline_s).name
    if stated_id != server_id:
        raise SlipwayError(
            f"the server on port {ports.grpc} has the id {stated_id}, but the server that was started here has "
            f"{server_id}, so no answer from there is a proof. Stop the other server, or set another port under "
            "`deploy` in config.yaml"
        )


def require_in_sight(pid: int, server_id: str, program: str) -> None:
    """Raise SlipwayError unless a container's first process, `pid`, runs on this machine as the server `server_id`.

    `program` is the name of the container program, for the message.
    """
    with contextlib.suppress(psutil.Error):
        if f"--id={server_id}" in psutil.Process(pid).cmdline():
            return
    raise SlipwayError(
        f"`{program}` started the server where its process cannot be seen from here, such as in a virtual machine: "
        "nothing would prove which process answers. Run Slipway where its containers run, or set `triton.run` to wheel"
    )


def foreign_ports(pid: int, ports: Ports) -> list[int]:
    """Return which of the gRPC and metrics ports are not the server's: neither `pid` nor its children listen there."""
    foreign = [ports.grpc, ports.metrics]
    for process in _family(pid):
        listening = {address.port for address, _ in _listening(process)}
        foreign = [port for port in foreign if port not in listening]
        if not foreign:  # then its children need not be looked for
            break
    return foreign


def _family(pid: int) -> Iterator[psutil.Process]:
    """Yield a process, and then its children and their children; nothing if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        if server.status() != psutil.STATUS_ZOMBIE:
            yield server
            yield from server.children(recursive=True)


def require_own_listeners(ports: Ports, owner: str | None = None) -> None:
    """Raise SlipwayError if a program that this process did not start listens on the gRPC or metrics port.

    Processes of the server named `owner` (in their environment) also count as started by this process. These are
    processes in containers, and a server that still runs for a moment after Model Analyzer has ended. With None, only
    child processes count.
    """
    end = time.monotonic() + ENDING_S
    # Two looks: a server that starts during the first look has a port, but is not yet in the process list.
    while _stranger(ports, owner) and (stranger := _stranger(ports, owner)):
        port, pid = stranger
        # A killed server has its port until its last thread has ended; until then no process is found for the port.
        if pid is not None or time.monotonic() > end:
            raise SlipwayError(
                f"port {port} was taken by {who_listens(port)} before the server that is measured could listen there; "
                "nothing was measured, run again"
            )
        time.sleep(0.05)


def _stranger(ports: Ports, owner: str | None) -> tuple[int, int | None] | None:
    """Return (port, process id) of a process on the gRPC or metrics port that this process did not start.

    The process id is None if no process is found for the port. Return None if there is no such process. `owner` is as
    in `require_own_listeners`.
    """
    own = {process.pid for process in own_processes(owner)}
    listening = _listening(psutil)
    own |= {process.pid for process in own_processes(owner)}
    for (ip, port), pid in listening:
        here = ip.removeprefix("::ffff:") in {ports.host, "0.0.0.0", "::"}
        if here and port in (ports.grpc, ports.metrics) and pid not in own:
            return port, pid
    return None


def _listening(process: psutil.Process | ModuleType) -> list[tuple]:
    """Return [(address, process id)] of the TCP sockets on which `process` listens. An address is psutil's (ip, port).

    If `process` is the module psutil, the result has the listening sockets of all processes.
    """
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:  # the process has ended meanwhile
        return []
    return [
        (connection.laddr, getattr(connection, "pid", None))
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    ]
