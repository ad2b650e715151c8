"""The one tritonserver that this checkout runs on this machine: what it is, whether it still runs, how to end it.

Nothing here imports the client or a runtime, since the Snakefile asks it while it is parsed.
"""

from pathlib import Path

import psutil

from slipway.artifacts import read_json, write_json

# Where the server's state and log lie, beside the models' results.
FOLDER = Path("results/.server")


def state_file(folder: Path = FOLDER) -> Path:
    """Return the file that says which server was started."""
    return folder / "state.json"


def key_file(folder: Path = FOLDER) -> Path:
    """Return the file with the key to the live server's model control, which its user alone may read."""
    return folder / "control.key"


def read_state(folder: Path = FOLDER) -> dict | None:
    """Return the state of the server that was started last, or None when there is none."""
    return read_json(state_file(folder)) if state_file(folder).is_file() else None


def write_state(folder: Path, pid: int, start: int, listening: dict, identity: dict | None = None) -> dict:
    """Record a server that was started: its process, which start it is, where it listens, what it was started with.

    `created` is when the process was, in seconds after the machine was started.
    """
    process = {"pid": pid, "created": _created(psutil.Process(pid))}
    state = {**process, "start": start, "listening": listening, "identity": identity}
    write_json(state_file(folder), state)
    return state


def running_server(folder: Path = FOLDER) -> dict | None:
    """Return the state of the server that was started last if it still runs, else None."""
    state = read_state(folder)
    return state if is_running(state) else None


def forget_state(folder: Path) -> None:
    """Remove the record of a server that was stopped, and its key."""
    state_file(folder).unlink(missing_ok=True)
    key_file(folder).unlink(missing_ok=True)


def is_running(state: dict | None) -> bool:
    """Say whether the very process of `state` still runs; a process id alone could have been given to another."""
    if state is None:
        return False
    try:
        process = psutil.Process(state["pid"])
        return abs(_created(process) - state["created"]) < 0.01 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_number(folder: Path = FOLDER) -> int:
    """Return which start of the server a deployment made now is about.

    While the server runs, this stays the same; once it has died, it is the next one, so a receipt that speaks of the
    dead server is stale and Snakemake makes a new one.
    """
    state = read_state(folder)
    if state is None:
        return 1
    return state["start"] if is_running(state) else state["start"] + 1


def who_listens(port: int) -> str:
    """Return in words which process listens on a port, as far as this user may know."""
    try:
        for connection in psutil.net_connections(kind="inet"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    break
                name = psutil.Process(connection.pid).name()
                return f"process {connection.pid} ({name})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another user's process"


def _created(process: psutil.Process) -> float:
    """Return when a process was created; not by the clock, which is set right now and then while a server runs."""
    return process.create_time() - psutil.boot_time()
