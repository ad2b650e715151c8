"""Try versions in a server of their own, beside the live one."""

import shutil
from dataclasses import replace
from pathlib import Path

from slipway.core.artifacts import remove
from slipway.core.errors import SlipwayError
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import TRIAL, LocalInstallation
from slipway.deploy.local.model_store import Published
from slipway.deploy.local.recorded_server import UNSERVED_S, Prove, proven_by, start_recorded, stop_all
from slipway.triton.client.ports import Ports
from slipway.triton.server.restricted_apis import new_key
from slipway.triton.server.tls import ServerTls

SERVES_ON = "The server that was live serves on unchanged."
# The repository of a trial server, below its state.
REPOSITORY = "models"


def try_beside(
    installation: LocalInstallation, versions: list[Published], prove: Prove, tls: ServerTls | None = None
) -> None:
    """Serve versions at free ports and prove them there. A bad version never gets into the live server."""
    trial = installation.state / TRIAL
    stop_left_over(installation.state)
    for version in versions:
        installation.store.lay_out(version.name, version.number, trial / REPOSITORY)
    # Without HTTP: only this workflow uses the trial server.
    ports, server_id = replace(Ports.free(), http=None, tls=tls), server_state.new_id(trial)
    names = [version.name for version in versions]
    server = installation.server([trial / REPOSITORY], names, ports, "trial.log", new_key(), server_id)
    try:
        start_recorded(server, trial, 0, None)
        server.wait_until_ready(installation.ready_timeout_s)
        proven_by(server, prove)
    except SlipwayError as error:
        raise SlipwayError(f"{error}\n{SERVES_ON}") from None
    finally:
        stop_left_over(installation.state)


def stop_left_over(state: Path) -> None:
    """Stop every trial server of this checkout, also a server that a killed deployment did not record."""
    trial = state / TRIAL
    if not trial.is_dir():
        remove(trial)
    stop_all(trial, UNSERVED_S)
    shutil.rmtree(trial / REPOSITORY, ignore_errors=True)
