"""The state of the tritonserver that this checkout runs on this machine: its record, and whether it still runs.

The generation of a server counts the servers that this checkout has started so far. The record has facts that the
server's command line lacks: the options that decide whether the server can load new versions, its TLS files, and
whether one of its loads never ended. So without the record, the server is found, but replaced.

This module imports neither the client nor a runtime, because the Snakefile imports this module while it is parsed.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psutil

from slipway.core.artifacts import remove, write_json
from slipway.core.records import NUMBER, read_record

# The folder of the server's state and log, beside the models' results.
FOLDER = Path("results/.server")
# The shape of a server's record: INTENT before the server's start, STATE after the start.
INTENT = {"id": str, "generation": int, "listening": {"grpc": int, "metrics": int, "host": str}}
STATE = {"pid": int, "created": NUMBER, **INTENT}


def state_file(folder: Path = FOLDER) -> Path:
    """Return the path of the record of the server that was started last."""
    return folder / "state.json"


def log_file(folder: Path = FOLDER) -> Path:
    """Return the path of the log of the server that was started last."""
    return folder / "server.log"


def new_id(folder: Path = FOLDER, generation: int = 0) -> str:
    """Return the id of a server that is about to be started. The server's command line and metadata state the id.

    The id has the checkout's prefix, by which a server without a record is recognised, and the server's generation
    number.
    """
    return f"{ids_of(folder)}{generation}-{secrets.token_hex(6)}"


def read_state(folder: Path = FOLDER) -> dict | None:
    """Return the recorded state of the server that was started last; None if the record is missing or damaged."""
    return read_record(state_file(folder), STATE)


def write_state(
    folder: Path, pid: int | None, generation: int, listening: dict, identity: dict | None, server_id: str
) -> dict:
    """Record a server, and return the record. `pid` is None before the start of the server.

    `listening` has its ports, host and TLS files. `identity` has the options that decide whether the server can load
    new versions; None if they are not known. "created" in the record is the creation time of the process, in seconds
    after boot.
    """
    process = {"pid": pid, "created": _created(psutil.Process(pid))} if pid else {}
    facts = {"id": server_id, "generation": generation, "listening": listening, "identity": identity}
    state = process | facts | {"folder": str(folder.resolve())}
    write_json(state_file(folder), state)
    return state


def running_server(folder: Path = FOLDER) -> dict | None:
    """Return the state of this checkout's running server, recorded or not; None if no server runs."""
    return next(running_servers(folder), None)


def recorded_server(folder: Path = FOLDER) -> dict | None:
    """Return the recorded state of a running server; None if no recorded server runs. Search no other processes."""
    return next(filter(is_running, _known(folder)), None)


def running_servers(folder: Path = FOLDER) -> Iterator[dict]:
    """Yield the state of every running server of a folder: first recorded servers, then servers among all processes.

    A recorded server is yielded twice.
    """
    yield from filter(is_running, _known(folder))
    yield from unrecorded_servers(folder)


def unrecorded_servers(folder: Path = FOLDER) -> Iterator[dict]:
    """Yield the state of each server of this checkout among all processes, from its record or its command line.

    A server has no record if a kill interrupted the server's start, or if the record was lost or damaged.
    """
    intents = {state["id"]: state for state in _known(folder)}
    found: dict[int, tuple[int, dict]] = {}
    for process in psutil.process_iter(["cmdline", "ppid", "uids"]):
        words = process.info["cmdline"] or []
        flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
        server_id = flags.get("id", "")
        own = server_id.startswith(ids_of(folder)) and process.info["uids"].real == os.getuid()
        own = own and "label" not in flags  # `docker run` has labels; it only starts a container
        if own and (state := intents.get(server_id) or _state_of_flags(flags)):
            found[process.pid] = process.info["ppid"], state | {"pid": process.pid, "created": _created(process)}
    # A server starts its backend's processes by a fork: until these execute their program, they have its command line.
    yield from (state for parent, state in found.values() if parent not in found)


def recover_state(folder: Path = FOLDER, **changes: object) -> dict | None:
    """Return the state of the running server, with the entries `changes`; None if no server runs.

    If the record on disk differs from this state, the state is written to disk.
    """
    running = running_server(folder)
    if running and read_state(folder) != (running := running | changes):
        write_json(state_file(folder), running)
    return running


def forget_state(folder: Path) -> None:
    """Remove the record of a server that was stopped."""
    remove(state_file(folder))


def is_running(state: dict | None) -> bool:
    """Say whether the process of `state` still runs, by process id and creation time.

    The process id alone proves nothing: another process may have the same id now.
    """
    if state is None or "pid" not in state:
        return False
    try:
        process = psutil.Process(state["pid"])
        return abs(_created(process) - state["created"]) < 0.01 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # the id or the time in the record is impossible
        return False


def current_generation(folder: Path = FOLDER) -> int:
    """Return the generation of the server for a deployment that starts now.

    The number stays the same while the server runs. After the server's death, the next number is returned. So the
    receipt of the dead server is stale, and Snakemake makes a new receipt.
    """
    running = running_server(folder)
    return running["generation"] if running else next_generation(folder)


def next_generation(folder: Path = FOLDER) -> int:
    """Return a generation number that no recorded start of the server had."""
    return max((state["generation"] for state in _known(folder)), default=0) + 1


def who_listens(port: int) -> str:
    """Return text with the process that listens on a port; "another user's process" if this user may not see it."""
    with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
        listening = (socket for socket in psutil.net_connections(kind="inet") if socket.status == psutil.CONN_LISTEN)
        pid = next((socket.pid for socket in listening if socket.laddr and socket.laddr.port == port), None)
        if pid is not None:
            return f"process {pid} ({psutil.Process(pid).name()})"
    return "another user's process"


def _created(process: psutil.Process) -> float:
    """Return the creation time of a process in seconds after boot, which does not change if the clock is adjusted."""
    return process.create_time() - psutil.boot_time()


def _known(folder: Path) -> list[dict]:
    """Return all recorded server states: the state of the last start, and the states in the receipts of live models."""
    receipts = sorted(folder.parent.glob("*/deploy/receipt.json"))
    states = (read_record(state_file(folder), INTENT), *map(_server_in, receipts))
    return [state for state in states if state and not _is_anothers(state, folder)]


def _server_in(receipt: Path) -> dict | None:
    """Return the server's state in a receipt file; None if the receipt has no state or is damaged."""
    content = read_record(receipt, {"contents": {"server": STATE}})
    return content["contents"]["server"] if content else None


def _is_anothers(state: dict, folder: Path) -> bool:
    """Say whether a state belongs to another existing checkout. This checkout may be a copy of the other checkout."""
    origin = Path(state.get("folder", folder)).resolve()
    there = read_record(state_file(origin), {"id": str})
    return origin != folder.resolve() and there is not None and there["id"] == state["id"]


def _state_of_flags(flags: dict[str, str]) -> dict | None:
    """Return a server's state from the flags in its command line, with "identity" None; None if a flag is missing."""
    try:
        ports = {name: int(flags.get(f"{name}-port", 0)) for name in ("http", "grpc", "metrics")}
        generation = int(flags["id"].split("-")[2])
    except (KeyError, ValueError, IndexError):
        return None
    listening = {**ports, "http": ports["http"] or None, "host": flags.get("grpc-address", "127.0.0.1"), "tls": None}
    return {"id": flags["id"], "generation": generation, "listening": listening, "identity": None}


def ids_of(folder: Path) -> str:
    """Return the prefix of the server ids of a checkout. The prefix depends on the path of the state folder."""
    return f"slipway-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}-"
