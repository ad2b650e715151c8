"""The state of the tritonserver that this checkout runs on this machine: its record, and whether it still runs.

The record, state.json in the folder results/.server, is {"pid", "created", "id", "generation", "listening", "identity",
"folder"} (see `write_state`). The generation of a server counts the servers that this checkout has started so far. The
record has facts that the server's command line lacks: the options that decide whether the server can load new versions,
its TLS files, and whether one of its loads never ended. So without the record, the server is found, but replaced.

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
    """Return the path of the record of the server that was started last, in the state folder `folder`."""
    return folder / "state.json"


def log_file(folder: Path = FOLDER) -> Path:
    """Return the path of the log of the server that was started last, in the state folder `folder`."""
    return folder / "server.log"


def new_id(folder: Path = FOLDER, generation: int = 0) -> str:
    """Return the id of a server that is about to be started. The server's command line and metadata state the id.

    The id has a prefix that only this checkout uses, so that a server without a record is recognised. It also has
    `generation`, the number of servers that this checkout has started so far; 0 for a trial server.
    """
    return f"{ids_of(folder)}{generation}-{secrets.token_hex(6)}"


def read_state(folder: Path = FOLDER) -> dict | None:
    """Return the record of the server that was started last, as `write_state` writes it.

    Return None if the record is missing or damaged, or if the server's start did not complete.
    """
    return read_record(state_file(folder), STATE)


def write_state(
    folder: Path, pid: int | None, generation: int, listening: dict, identity: dict | None, server_id: str
) -> dict:
    """Record a server, before and after its start, and return the record.

    `pid` is None before the start. `generation` is the number of servers started so far. `listening` has the server's
    ports, host and TLS files. `identity` has the options that decide whether the server can load new versions; None if
    they are not known. "created" in the record is the creation time of the process, in seconds after boot.
    """
    process = {"pid": pid, "created": _created(psutil.Process(pid))} if pid else {}
    facts = {"id": server_id, "generation": generation, "listening": listening, "identity": identity}
    state = process | facts | {"folder": str(folder.resolve())}
    write_json(state_file(folder), state)
    return state


def running_server(folder: Path = FOLDER) -> dict | None:
    """Return the record of this checkout's running server, as `write_state`; None if no server runs.

    If the server has no record, its command line gives the state.
    """
    return next(running_servers(folder), None)


def recorded_server(folder: Path = FOLDER) -> dict | None:
    """Return the record of a running server, as `write_state`; None if no recorded server runs.

    Other processes are not searched, so this is fast.
    """
    return next(filter(is_running, _known(folder)), None)


def running_servers(folder: Path = FOLDER) -> Iterator[dict]:
    """Yield the record of every running server of a state folder: first recorded servers, then all that are found.

    Servers are found among all processes by their ids, so a recorded server is yielded twice.
    """
    yield from filter(is_running, _known(folder))
    yield from unrecorded_servers(folder)


def unrecorded_servers(folder: Path = FOLDER) -> Iterator[dict]:
    """Yield the record of each server that runs with the state folder `folder`, found among all processes.

    If a kill interrupted the server's start, or if the record was lost or damaged, its command line gives the state.
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
    """Return the record of the running server, with the entries `changes`; None if no server runs.

    If the record on disk is different, it is written again: it was lost, or `changes` are new.
    """
    running = running_server(folder)
    if running and read_state(folder) != (running := running | changes):
        write_json(state_file(folder), running)
    return running


def forget_state(folder: Path) -> None:
    """Remove the record of a server that was stopped. `folder` is the state folder."""
    remove(state_file(folder))


def is_running(state: dict | None) -> bool:
    """Say whether the process of a server's record still runs, by process id and creation time; False for None.

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
    """Return the generation of the server for a deployment that starts now: a number that Snakemake compares.

    The number stays the same while the server runs. After the server's death, the next number is returned. So the
    receipt (the deployment record) of the dead server is stale, and Snakemake makes a new receipt.
    """
    running = running_server(folder)
    return running["generation"] if running else next_generation(folder)


def next_generation(folder: Path = FOLDER) -> int:
    """Return the generation (count of started servers) of the next server: a number that no recorded server had."""
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
    """Return all records of servers of this checkout: of the last start, and in the receipts of deployments.

    Records that were copied here with another checkout's files are left out.
    """
    receipts = sorted(folder.parent.glob("*/deploy/receipt.json"))
    states = (read_record(state_file(folder), INTENT), *map(_server_in, receipts))
    return [state for state in states if state and not _is_anothers(state, folder)]


def _server_in(receipt: Path) -> dict | None:
    """Return the server's record in a receipt file; None if the receipt has no such record or is damaged."""
    content = read_record(receipt, {"contents": {"server": STATE}})
    return content["contents"]["server"] if content else None


def _is_anothers(state: dict, folder: Path) -> bool:
    """Say whether a server's record belongs to another existing checkout, of which this checkout is a copy."""
    origin = Path(state.get("folder", folder)).resolve()
    there = read_record(state_file(origin), {"id": str})
    return origin != folder.resolve() and there is not None and there["id"] == state["id"]


def _state_of_flags(flags: dict[str, str]) -> dict | None:
    """Return a server's record from the flags in its command line, {name: value}; None if a flag is missing.

    "identity" is None, because the flags do not state it.
    """
    try:
        ports = {name: int(flags.get(f"{name}-port", 0)) for name in ("http", "grpc", "metrics")}
        generation = int(flags["id"].split("-")[2])
    except (KeyError, ValueError, IndexError):
        return None
    listening = {**ports, "http": ports["http"] or None, "host": flags.get("grpc-address", "127.0.0.1"), "tls": None}
    return {"id": flags["id"], "generation": generation, "listening": listening, "identity": None}


def ids_of(folder: Path) -> str:
    """Return the beginning of the ids of all servers of a checkout.

    It depends on the path of the state folder `folder`.
    """
    return f"slipway-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}-"
