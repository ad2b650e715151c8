"""Start and stop a server that is recorded, so that no server of this checkout is ever lost."""

from dataclasses import asdict
from pathlib import Path

from slipway.deploy.local import server_state
from slipway.triton.server.tritonserver import Server, stop_process

# Timeout for the end of a server that gets no requests any more.
UNSERVED_S = 5


def start_recorded(server: Server, state: Path, start: int, identity: dict | None) -> None:
    """Start a server. If interrupted at any point, the record names the intended or the running server."""
    server_state.write_intent(state, server.id, start, asdict(server.ports), identity)
    process = server.start()
    server_state.write_state(state, process.pid, start, asdict(server.ports), identity, server.id)


def stop_all(state: Path, patience_s: float) -> None:
    """Stop the recorded server of a folder and any other server of that folder; remove the record."""
    for pid in {running["pid"] for running in server_state.running_servers(state)}:
        stop_process(pid, patience_s)
    server_state.forget_state(state)
