"""A server on trial: new versions are tried in it, beside the live server."""

import shutil
from dataclasses import replace
from pathlib import Path

from slipway.core.artifacts import remove
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import TRIAL, UNSERVED_S, LocalInstallation, start_recorded, stop_all
from slipway.deploy.release import Release
from slipway.triton.client.ports import Ports
from slipway.triton.server.restricted_apis import new_key
from slipway.triton.server.tls import ServerTls
from slipway.triton.server.tritonserver import Server

# The repository of a trial server, below its state.
REPOSITORY = "models"


def start(installation: LocalInstallation, release: Release, tls: ServerTls | None = None) -> Server:
    """Start a server of a stored release at free ports. A bad version never gets into the live server."""
    trial = installation.state / TRIAL
    stop_left_over(installation.state)
    for name, number in release.versions.items():
        installation.store.lay_out(name, number, trial / REPOSITORY)
    # Without HTTP: only this workflow uses the trial server.
    ports, server_id = replace(Ports.free(), http=None, tls=tls), server_state.new_id(trial)
    server = installation.server([trial / REPOSITORY], list(release.versions), ports, "trial.log", new_key(), server_id)
    start_recorded(server, trial, 0, None)
    return server


def stop_left_over(state: Path) -> None:
    """Stop every trial server of this checkout, also a server that a killed deployment did not record."""
    trial = state / TRIAL
    if not trial.is_dir():
        remove(trial)
    stop_all(trial, UNSERVED_S)
    shutil.rmtree(trial / REPOSITORY, ignore_errors=True)
