"""Check that the server at some ports is the process that was started here: it states the id of its command line."""

import contextlib
from types import ModuleType

import psutil
from tritonclient.utils import InferenceServerException

from slipway.core.errors import SlipwayError
from slipway.deploy.local.server_state import who_listens
from slipway.triton.client.connection import Deadline, connect, errors_as
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.ports import Ports

# Deadline of one question about a server's id and readiness.
IDENTITY_DEADLINE_S = 10.0


def is_ready(pid: int, server_id: str, ports: Ports) -> bool:
    """Say whether a process's server is ready with all its models, and listens on the given ports."""
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
    """Raise SlipwayError unless the process itself listens on `ports`, and its server states `server_id`."""
    if foreign := foreign_ports(pid, ports):
        raise SlipwayError(
            f"port {foreign[0]} on {ports.host} is not listened on by the server that was started here (process "
            f"{pid}), but by {who_listens(foreign[0])}: nothing that answers there proves anything"
        )
    with connect(endpoint_of(ports)) as client, errors_as(f"the server on port {ports.grpc} does not answer"):
        stated_id = client.get_server_metadata(client_timeout=deadline_s).name
    if stated_id != server_id:
        raise SlipwayError(
            f"the server that answers on port {ports.grpc} calls itself {stated_id}, and the one that was started here "
            f"{server_id}: nothing that answers there proves anything"
        )


def foreign_ports(pid: int, ports: Ports) -> list[int]:
    """Return which of the gRPC and metrics ports neither the process nor its children listen on."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        if server.status() != psutil.STATUS_ZOMBIE:
            family = [server, *server.children(recursive=True)]
    listening = {address.port for process in family for address, _ in _listening(process)}
    return [port for port in (ports.grpc, ports.metrics) if port not in listening]


def require_own_listeners(ports: Ports) -> None:
    """Raise SlipwayError if a program that this process did not start listens on one of the server's ports."""
    # A server may start or end between two of these readings.
    own = _descendants()
    listening = _listening(psutil)
    own |= _descendants()
    for (ip, port), pid in listening:
        here = ip.removeprefix("::ffff:") in {ports.host, "0.0.0.0", "::"}
        if here and port in (ports.grpc, ports.metrics) and pid not in own:
            raise SlipwayError(
                f"port {port} was taken by {who_listens(port)} before the server that is measured could listen there; "
                "nothing was measured, run again"
            )


def _descendants() -> set[int]:
    """Return the ids of the processes below this one."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def _listening(process: psutil.Process | ModuleType) -> list[tuple]:
    """Return (address, process id) of a process's listening sockets, or the whole machine's if `process` is psutil."""
    try:
        connections = process.net_connections(kind="inet")
    except psutil.Error:  # a child that has ended meanwhile
        return []
    return [(each.laddr, getattr(each, "pid", None)) for each in connections if each.status == psutil.CONN_LISTEN]
