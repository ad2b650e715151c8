"""Check that this checkout's server answers each live model's reference request with the reference outputs, in time.

Only an answer is a proof. A server still states that the server and the model are ready long after the process with the
engine has died.
"""

from pathlib import Path

import psutil

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.local import server_state
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.receipts import local_receipts
from slipway.triton.client.connection import Deadline
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.server.ownership import require_own

# Deadline for the answer to a model's reference request: long for a busy server, short for a person who waits.
ANSWER_DEADLINE_S = 5.0
# Deadline for the answer before a silent server is stopped and replaced.
REPLACEMENT_DEADLINE_S = 15.0
DEAD = (psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED, psutil.STATUS_DEAD)


def why_silent(folder: Path = server_state.FOLDER, replacing: bool = False) -> dict[str, str]:
    """Return {name of a live model on the local server that does not answer correctly: the reason}.

    `folder` is the folder of the server's state. With `replacing`, the caller will replace a silent server, so models
    get more time (see `why_no_answer`).
    """
    live = ModelStore(folder).ledger.live()
    if not live:  # if the ledger was lost, the receipts still exist
        live = {receipt["served_as"]: receipt["number"] for receipt in local_receipts(folder.parent)}
    whys = {name: why_no_answer(folder, name, number, replacing) for name, number in live.items()}
    return {name: why for name, why in whys.items() if why}


def is_silent(folder: Path) -> bool:
    """Say whether a live model does not answer, so that the server must be replaced. Print the reasons.

    `folder` is the folder of the server's state.
    """
    silent = why_silent(folder, replacing=True)
    for name, why in silent.items():
        progress(f"  {name} does not answer, because {why}")
    return bool(silent)


def why_no_answer(folder: Path, name: str, number: int, replacing: bool = False) -> str | None:
    """Return why a live model does not answer its reference request with the reference outputs; None if it does.

    `name` is the model's name on the server, `number` its live version, and `folder` the folder of the server's state.
    With `replacing`, a silent server will be replaced. Then the model gets more time, and two reasons do not count:
    another version answers, or the stored reference request is damaged.
    """
    deadline = Deadline(REPLACEMENT_DEADLINE_S if replacing else ANSWER_DEADLINE_S)
    if (running := server_state.running_server(folder)) is None:
        return "its server has ended"
    try:
        server = psutil.Process(running["pid"])
        if server.status() == psutil.STATUS_STOPPED:
            return f"its server (process {server.pid}) is stopped by a signal"
        ports = Ports.of(running["listening"])
        require_own(server.pid, running["id"], ports, deadline.left_s())
        with ModelClient(ports, name, deadline) as client:
            client.require_ready()
            return _why_dead(client, server) or _why_wrong(client, folder, number, replacing)
    except SlipwayError as error:
        return str(error)
    except psutil.NoSuchProcess:
        return "its server ended just now"


def _why_wrong(client: ModelClient, folder: Path, number: int, replacing: bool) -> str | None:
    """Return why the answer to the reference request is wrong for version `number`; None if it is right.

    `folder` has the stored version. `replacing` is explained in `why_no_answer`.
    """
    try:
        expected = ModelStore(folder).proven_by(client.model, number).expected
    except (SlipwayError, OSError, ValueError, KeyError, EOFError) as error:
        damaged = f"version {number} of it in {folder}, with its reference request, is damaged: {error}"
        return None if replacing else damaged
    answer = client.infer(expected.request)
    if answer.version != str(number):
        other = f"version {answer.version} of it answers, not version {number}, which was proven"
        return None if replacing else other
    return expected.why_wrong(answer.outputs)


def _why_dead(client: ModelClient, server: psutil.Process) -> str | None:
    """Return text with the number of dead engine processes of the client's model; None if all are alive.

    A server with dead engine processes may still answer, by the processes that are alive.
    """
    config = client.config()
    versions = list(map(str, config.version_policy.specific.versions))
    if config.backend != "python" or not versions:
        return None
    wanted = sum(group.count for group in config.instance_group) * len(versions)
    adapters = [(client.model, version, "model.py") for version in versions]
    alive = sum(_runs(child, adapters) for child in server.children(recursive=True))
    return f"{wanted - alive} of the {wanted} processes that hold its engine died" if alive < wanted else None


def _runs(process: psutil.Process, adapters: list[tuple[str, str, str]]) -> bool:
    """Say whether a process is alive and runs one of the Python files `adapters`, (model, version, "model.py")."""
    try:
        return process.status() not in DEAD and any(Path(word).parts[-3:] in adapters for word in process.cmdline())
    except psutil.Error:
        return False
