"""Settle an interrupted rollout on this machine, so that the release history and the server agree.

A rollout is a deployment or a rollback. If the server serves the rollout's versions, and a new proof succeeds, the
versions are recorded as live. Otherwise the rollout is undone.
"""

import time
from pathlib import Path
from typing import Protocol

from tritonclient.utils import InferenceServerException

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.os_errors import explained
from slipway.deploy.ledger import DEPLOYMENT, Rollout, Versions, in_words
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import LocalInstallation
from slipway.deploy.local.switching import live_header, load_again
from slipway.deploy.platform import Platform
from slipway.deploy.release import Release
from slipway.deploy.release_history import ReleaseHistory
from slipway.deploy.verification import prove, receipts_of
from slipway.triton.client.connection import connect
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.ports import Ports

# Timeouts in seconds: for a server to state its versions, and for the end of a load that has begun.
ANSWER_S, LOADED_WITHIN_S = 10.0, 120.0


class LocalServer(Platform, Protocol):
    """The platform `local`, as `settle` uses it. `state` is the folder of the server's state, results/.server."""

    state: Path

    def use_installation_for(self, release: Release) -> LocalInstallation:
        """Return the installation that can serve a release. All later steps use it."""


def settle(platform: LocalServer, history: ReleaseHistory, may_load: bool = True) -> bool:
    """Finish or undo an interrupted rollout, so that the server and the release history agree.

    Return True if an interrupted deployment was undone. If `may_load` is false, the server does not change; then a
    message reports a rollout that should be undone.
    """
    history.store.ledger.set_aside_if_damaged()
    history.restore_ledger()
    taken_back = False
    if rollout := history.pending():
        now = served(platform, rollout)
        if not (now == rollout.versions and now and _finish(platform, history, rollout)):
            taken_back = _take_back(platform, history, rollout, now, may_load) and rollout.action == DEPLOYMENT
    history.store.ledger.restore_receipts()
    return taken_back


def settle_if_unlocked(platform: LocalServer, history: ReleaseHistory) -> None:
    """Settle an interrupted rollout without a change of the server, for a command that only reads.

    If the rollout cannot be settled, or if another deployment is under way, a message says so.
    """
    if not history.store.is_there():
        return
    try:
        with platform.lock():
            settle(platform, history, may_load=False)
    except (SlipwayError, OSError) as error:  # for example if the folder is read-only
        progress(f"  {(isinstance(error, OSError) and explained(error)) or error}")


def served(platform: LocalServer, rollout: Rollout) -> Versions:
    """Return {model: version} that the live server serves now, for the models of a rollout; {} if no server runs.

    First wait for the end of a load, because Triton goes on loading after the client has gone.
    """
    if not (running := server_state.running_server(platform.state)):
        return {}
    ports, names = Ports.of(running["listening"]), {**rollout.before, **rollout.versions}
    deadline = time.monotonic() + LOADED_WITHIN_S
    while (now := loaded(platform, ports)) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return {name: number for name, number in (now or {}).items() if name in names}


def loaded(platform: LocalServer, ports: Ports) -> Versions | None:
    """Return {model: ready version} of the server at `ports`; {} if it does not answer, None while it loads a model."""
    with connect(endpoint_of(ports)) as client:
        try:
            options = {"headers": live_header(platform.state), "client_timeout": ANSWER_S, "as_json": True}
            listed = client.get_model_repository_index(**options).get("models", [])
        except (InferenceServerException, OSError):
            return {}
    ready = [(model["name"], int(model["version"])) for model in listed if model.get("state") == "READY"]
    changes = len(dict(ready)) < len(ready) or any(model.get("state") == "LOADING" for model in listed)
    return None if changes else dict(ready)


def _finish(platform: LocalServer, history: ReleaseHistory, rollout: Rollout) -> bool:
    """Test the versions of an interrupted rollout on the live server, and record them as live.

    Return False, with a message, if the test fails.
    """
    try:
        release = history.release(rollout.proven)
        platform.use_installation_for(release)
        with platform.reach(release) as reached:
            proofs = prove(platform, release, reached, under_load=False)
    except SlipwayError as error:
        progress(f"  {rollout} was interrupted, and its versions did not pass the proof: {error}")
        return False
    history.record(receipts_of(platform, release, proofs, published=history.store.require_proven(release, None)))
    progress(
        f"  {rollout} was interrupted before its receipt was written; it serves and is proven, so the receipt follows"
    )
    return True


def _take_back(platform: LocalServer, history: ReleaseHistory, rollout: Rollout, now: Versions, may_load: bool) -> bool:
    """Load the versions that were live before an interrupted rollout, and record that the rollout has ended.

    `now` is {model: served version}. Return False if no server runs, or if the load fails. If `may_load` is false and a
    load is needed, a warning is printed and the result is False.
    """
    running = server_state.running_server(platform.state)
    if running and now != rollout.before:
        try:
            if not may_load:
                raise SlipwayError("`snakemake --cores 1 deploy` or rollback puts that right")
            installation = platform.use_installation_for(history.release(rollout.before))
            differing = {name: number for name, number in rollout.before.items() if now.get(name) != number}
            untouched = rollout.before.keys() - differing.keys()
            load_again(installation, differing, Ports.of(running["listening"]), untouched)
        except SlipwayError as error:
            progress(
                f"  WARNING: {rollout} was interrupted; {in_words(now)} is served, but {in_words(rollout.before)} was "
                f"proven: {error}"
            )
            return False
        now = served(platform, rollout)
    history.restored()
    progress(f"  {rollout} was interrupted, and did not become live; served now: {in_words(now)}")
    return running is not None
