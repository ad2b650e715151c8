"""Where models are served on this machine, and by whom: one deployment at a time."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from slipway.core.artifacts import make_folder, remove
from slipway.core.errors import SlipwayError
from slipway.deploy.local.compatibility import Host
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.local.server_state import ids_of, running_servers
from slipway.runtimes import RUNTIMES
from slipway.triton.repository.model_config import NATIVE
from slipway.triton.server.restricted_apis import local_flags
from slipway.triton.server.stub_memory import remove_regions
from slipway.triton.server.tritonserver import Installation, Ports, Server, find_installation

# The folder of a trial server's record, below the state of the live one.
TRIAL = "trial"
# Triton loads models only on request.
EXPLICIT = "--model-control-mode=explicit"


@dataclass(frozen=True)
class LocalInstallation:
    """Where models are served: the server to start, what runs the engines in it, its state's folder, its store."""

    installation: Installation
    host: Host
    state: Path
    store: ModelStore
    ready_timeout_s: float
    shared_memory: bool = False

    @property
    def identity(self) -> dict:
        """Return what a running server must have been started with to take new versions, beside where it listens."""
        program = [self.installation.program, *self.installation.flags, EXPLICIT]
        return {
            "program": program,
            "python": str(self.host.python),
            "guarded": self.installation.can_guard,
            "shared_memory": self.shared_memory,
        }

    def server(
        self, repositories: list[Path], names: list[str], ports: Ports, log: str, key: str, server_id: str | None = None
    ) -> Server:
        """Return a server of some models, not started yet, which only those who have `key` may change."""
        guards = local_flags(key, ports.host, self.shared_memory) if self.installation.can_guard else []
        loading = (EXPLICIT, *guards, *(f"--load-model={name}" for name in names))
        return Server(self.installation, repositories, ports, self.state / log, *loading, server_id=server_id)


def find_place(
    keys: list[dict], state: Path, tensorrt_python: Path | None, ready_timeout_s: float, shared_memory: bool = False
) -> LocalInstallation:
    """Return where engines of these keys are served: a server of this machine, and what runs the engines in it."""
    runtimes = {key["runtime"] for key in keys}
    # An interpreter that has TensorRT need not have what any other runtime's engines want.
    python = tensorrt_python if any(RUNTIMES[name].is_tensorrt for name in runtimes) else None
    installation = find_installation(state, {NATIVE[name][0] for name in runtimes}, python).for_engines(keys)
    host = Host(installation.native_backends, python)
    return LocalInstallation(installation, host, state, ModelStore(state), ready_timeout_s, shared_memory)


def remove_left_regions(state: Path) -> None:
    """Remove the shared memory that killed servers of this checkout left, live or trial ones."""
    for folder in (state, state / TRIAL):
        running = {server["id"] for server in running_servers(folder) if "id" in server}
        remove_regions(ids_of(folder), but_of=running)


def place_of(
    state: Path, tensorrt_python: Path | None, ready_timeout_s: float, indexes: list[dict]
) -> LocalInstallation:
    """Return where the models of these indexes are served."""
    return find_place([index["engine_key"] for index in indexes], state, tensorrt_python, ready_timeout_s)


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Keep a second deployment of this checkout out while the block runs."""
    make_folder(state)
    lock = state / "deploying.lock"
    if lock.is_dir():
        remove(lock)
    try:
        with filelock.FileLock(lock, timeout=0):
            try:
                yield
            finally:
                remove_left_regions(state)
    except filelock.Timeout:
        raise SlipwayError("another deployment of this checkout is under way; wait for it, then run again") from None
