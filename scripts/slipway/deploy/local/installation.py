"""The local deployment: its tritonserver, its model store, its recorded servers, and the lock on deployments.

A server is recorded before it starts, so that no server of this checkout is ever lost. The state folder,
results/.server, has this record, the stored versions and the log.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from slipway.core.artifacts import make_way_for_file
from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import serving_python
from slipway.deploy.local import server_state
from slipway.deploy.local.compatibility import Host, host_of
from slipway.deploy.local.model_store import ModelStore
from slipway.runtimes import RUNTIMES
from slipway.triton.client.ports import Ports
from slipway.triton.server.container_programs import USED, remove_containers
from slipway.triton.server.installation import Installation, find_installation
from slipway.triton.server.leftovers import remove_leftovers
from slipway.triton.server.restricted_apis import new_key
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server, stop_process

# The folder of a trial server's record, below the state folder of the live server.
TRIAL = "trial"
# Triton loads models only on request.
EXPLICIT = "--model-control-mode=explicit"
# Timeout for stopping a server that gets no more requests, in seconds.
UNSERVED_S = 5


@dataclass(frozen=True)
class LocalInstallation:
    """The parts of a deployment on this machine: the tritonserver to run, its state folder, and the stored models.

    `host` is the process that runs the engines. `ready_timeout_s` is the timeout of a start or a load. `shared_memory`:
    clients may share memory with the server.
    """

    tritonserver: Installation
    host: Host
    state: Path
    store: ModelStore
    ready_timeout_s: float
    shared_memory: bool = False

    @property
    def identity(self) -> dict:
        """Return the program and the options that decide whether a running server can load new versions.

        If the record of the running server has another identity, the server is replaced. The result is JSON data
        without the ports.
        """
        return {
            "program": [self.tritonserver.program, *self.tritonserver.flags, EXPLICIT],
            "python": str(self.host.python),
            "guarded": self.tritonserver.can_guard,
            "shared_memory": self.shared_memory,
            "server": self.tritonserver.facts(),
        }

    def server(self, repository: Path, names: list[str], ports: Ports, log: str, server_id: str) -> Server:
        """Return a server for the models `names`, not started yet. A new key restricts who may load models.

        `repository` is the model repository, `log` the name of the log file in the state folder, and `server_id` comes
        from `server_state.new_id`.
        """
        guards = self.tritonserver.guards(new_key(), ports.host, self.shared_memory)
        loading = (EXPLICIT, *guards, *(f"--load-model={name}" for name in names))
        return Server(self.tritonserver, [repository], ports, self.state / log, *loading, server_id=server_id)


def local_installation(
    keys: list[dict],
    state: Path,
    choice: ServerChoice,
    tensorrt_python: Path | None,
    ready_timeout_s: float,
    shared_memory: bool = False,
) -> LocalInstallation:
    """Return the tritonserver and its surroundings for a deployment of engines with the build keys `keys`.

    `state` is the state folder, and `choice` says which server planning chose. `tensorrt_python` is the interpreter
    that has TensorRT, None for this interpreter. With `shared_memory`, clients may share memory with the server.
    """
    runtimes = {key["runtime"] for key in keys}
    # The interpreter with TensorRT may lack the packages of other runtimes, so it is used only for TensorRT.
    python = tensorrt_python if any(RUNTIMES[name].is_tensorrt for name in runtimes) else None
    backends = {RUNTIMES[name].backend for name in runtimes}
    tritonserver = find_installation(state, choice, backends, python).for_engines(keys, shared_memory)
    host = host_of(tritonserver, python or serving_python())
    return LocalInstallation(tritonserver, host, state, ModelStore(state), ready_timeout_s, shared_memory)


def start_recorded(server: Server, state: Path, generation: int, identity: dict | None) -> Server:
    """Start a server, and return it.

    Its record is written before and after the start, so no interruption loses the server. `state` is the folder of the
    record. `generation` (number of servers so far) and `identity` (`LocalInstallation.identity`) are entries of the
    record; `identity` is None for a server that never loads other versions.
    """
    facts = generation, asdict(server.ports), identity, server.id
    server_state.write_state(state, None, *facts)
    server.start()
    server_state.write_state(state, server.pid, *facts)
    return server


def stop_all(state: Path, patience_s: float) -> None:
    """Stop every server of a state folder, recorded or not, and remove the record.

    A server that has not ended after `patience_s` seconds is killed.
    """
    for pid in {running["pid"] for running in server_state.running_servers(state)}:
        stop_process(pid, patience_s)
    server_state.forget_state(state)


def remove_server_leftovers(state: Path) -> None:
    """Remove the shared memory and the containers of killed servers of this checkout, both live and trial servers.

    `state` is the state folder of the live server. Servers that still run keep theirs.
    """
    for folder in (state, state / TRIAL):
        running = {server["id"] for server in server_state.running_servers(folder)}
        remove_leftovers(server_state.ids_of(folder), but_of=running)
        remove_containers(state, server_state.ids_of(folder), but_of=running)


@contextlib.contextmanager
def lock(state: Path) -> Iterator[None]:
    """Context manager: lock out a second deployment with the folder `state` while the block runs.

    Leftovers of killed servers are removed after the block. Raises SlipwayError if another deployment has the lock.
    """
    file = state / "deploying.lock"
    make_way_for_file(file)
    try:
        with filelock.FileLock(file, timeout=0), contextlib.ExitStack() as ending:
            if (state / USED).exists():
                # A container that a killed deployment requested may start only now.
                remove_server_leftovers(state)
            ending.callback(remove_server_leftovers, state)
            yield
    except filelock.Timeout:
        raise SlipwayError("another deployment of this checkout is under way; wait for it, then run again") from None
