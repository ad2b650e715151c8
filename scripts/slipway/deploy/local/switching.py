"""The steps of a switch: start a trial server, load versions in the live server or start a new one, and go back.

A trial server is a second server on free ports, in which a new version is tested before clients get it.
"""

import contextlib
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from slipway.core.artifacts import remove
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import TRIAL, UNSERVED_S, LocalInstallation, start_recorded, stop_all
from slipway.deploy.local.stuck_loads import ending_loads
from slipway.deploy.release import Release
from slipway.triton.client.connection import connect
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.server.restricted_apis import header
from slipway.triton.server.tls import ServerTls
from slipway.triton.server.tritonserver import Server

# The folder of a trial server's model repository, below the folder of the trial server's state.
REPOSITORY = "models"
# The versions that a server is to serve, {model: version}; None if the model is not served.
Wanted = Mapping[str, int | None]


def require_own_ports(ports: Ports, running: dict | None) -> None:
    """Raise SlipwayError if a foreign program listens on one of the ports that a deployment needs.

    `running` is the record of this deployment's running server, which may listen there; None without a server.
    """
    own = {running["listening"][name] for name in ("http", "grpc", "metrics")} if running else set()
    foreign = [port for port in ports.taken() if port not in own]
    if foreign:
        raise SlipwayError(
            f"port {foreign[0]} on {ports.host} is taken by {server_state.who_listens(foreign[0])}, which this "
            "deployment does not replace. Stop it (what this checkout deployed elsewhere, with that `deploy.to` and "
            "`snakemake undeploy`), or set other ports under `deploy` in config.yaml; nothing was changed"
        )


def start_trial(installation: LocalInstallation, release: Release, tls: ServerTls | None = None) -> Server:
    """Start a trial server with a stored release on free ports, so that a bad version never becomes live. Return it.

    `tls` are the TLS settings of the live server; None without TLS.
    """
    trial = installation.state / TRIAL
    stop_trial(installation.state)
    for name, number in release.versions.items():
        installation.store.lay_out(name, number, trial / REPOSITORY)
    # Without HTTP: only this workflow uses the trial server.
    ports, server_id = replace(Ports.free(), http=None, tls=tls), server_state.new_id(trial)
    server = installation.server(trial / REPOSITORY, list(release.versions), ports, "trial.log", server_id)
    return start_recorded(server, trial, 0, None)


def stop_trial(state: Path) -> None:
    """Stop every trial server with the state folder `state`, even a server that a killed deployment did not record."""
    trial = state / TRIAL
    if not trial.is_dir():
        remove(trial)
    stop_all(trial, UNSERVED_S)
    shutil.rmtree(trial / REPOSITORY, ignore_errors=True)


def takes_versions(running: dict, installation: LocalInstallation, ports: Ports) -> bool:
    """Say whether the running server can load new versions, so that it need not be replaced.

    Its ports and options must match `ports` and `installation`, and its working folder must exist. `running` is its
    record.
    """
    if running["listening"] != asdict(ports) or running["identity"] != installation.identity:
        return False
    with contextlib.suppress(OSError):
        # In a working folder that was removed, a server finds no repository.
        return Path(f"/proc/{running.get('pid')}/cwd").stat().st_nlink > 0
    return True


def load(installation: LocalInstallation, wanted: Wanted, ports: Ports, untouched: Collection[str] = ()) -> None:
    """Make the running server serve the versions in `wanted`, {model: version; None: do not serve the model}.

    All other models are unloaded, except those in `untouched`, which stay as they are. `ports` are those of the server.
    Raises Stuck if a load does not end in time, and SlipwayError if a load fails.
    """
    options = {"headers": live_header(installation.state), "client_timeout": installation.ready_timeout_s}
    server = (server_state.running_server(installation.state) or {}).get("pid")
    with connect(endpoint_of(ports)) as client, ending_loads(client, server, installation.ready_timeout_s):
        for name, number in wanted.items():
            if number is not None:
                installation.store.select(name, number)
                client.load_model(name, **options)
        listed = client.get_model_repository_index(as_json=True, **options).get("models", [])
        for name in {model["name"] for model in listed if model.get("state") == "READY"}:
            if wanted.get(name) is None and name not in untouched:
                client.unload_model(name, **options)


def live_header(state: Path) -> Mapping[str, str]:
    """Return the gRPC header that allows to load models in the live server, {name: key}, for requests to it.

    Return {} if no server runs, or if the server has no key. `state` is the server's state folder.
    """
    running = server_state.running_server(state)
    return header(running["pid"]) if running else {}


def load_again(installation: LocalInstallation, before: Wanted, ports: Ports, untouched: Collection[str] = ()) -> None:
    """Make the running server serve the earlier versions `before`, {model: version; None if it is not served}.

    The models in `untouched` are neither loaded again nor unloaded. A version whose stored files were changed goes on
    serving if the server has its unchanged files in memory. Other changed models are unloaded, and a SlipwayError names
    these models.
    """
    whole, changed = whole_and_changed(installation, before)
    loaded = {name for name in changed if has_loaded(ports, name, before[name])}
    load(installation, whole, ports, {*loaded, *untouched})
    for name in loaded:
        progress(f"  WARNING: {changed.pop(name)}; it serves on from memory, as it was proven")
    if changed:
        raise SlipwayError("; ".join(changed.values()))


def has_loaded(ports: Ports, name: str, number: int | None) -> bool:
    """Say whether the server at `ports` has version `number` of a model in its memory; False if `number` is None."""
    with contextlib.suppress(SlipwayError), ModelClient(ports, name) as client:
        return number in client.versions()
    return False


def whole_and_changed(installation: LocalInstallation, before: Wanted) -> tuple[dict, dict[str, str]]:
    """Separate the versions `before`, {model: version or None}: those whose stored files are unchanged, and the others.

    Returns ({model: version} of the unchanged, {model: text on the changed files} of the others).
    """
    whole, changed = dict(before), {}
    for name, number in before.items():
        try:
            if number is not None:
                installation.store.require_whole(name, number)
        except SlipwayError as error:
            changed[name] = str(error)
            del whole[name]
    return whole, changed


def start_server(installation: LocalInstallation, wanted: Wanted, ports: Ports, generation: int) -> Server:
    """Start a server that serves the versions `wanted`, and return it without waiting until it is ready.

    `wanted` is {model: version; None if it is not served}. `generation` is the number of servers that this checkout
    started so far, including this server.
    """
    state, store = installation.state, installation.store
    served = {name: number for name, number in wanted.items() if number is not None}
    for name, number in served.items():
        store.select(name, number)
    log, server_id = server_state.log_file().name, server_state.new_id(state, generation)
    server = installation.server(store.models, list(served), ports, log, server_id)
    return start_recorded(server, state, generation, installation.identity)


def start_again(installation: LocalInstallation, before: Wanted, ports: Ports, generation: int) -> None:
    """Start the server with the earlier versions `before`, {model: version or None}, and wait until it is ready.

    Versions whose stored files were changed are not served; a SlipwayError names them. `generation` is the number of
    servers started so far, including this server. If the server does not become ready, it is stopped, and the error is
    raised.
    """
    whole, changed = whole_and_changed(installation, before)
    try:
        if any(whole.values()):
            start_server(installation, whole, ports, generation).wait_until_ready(installation.ready_timeout_s)
    except BaseException:
        stop_all(installation.state, UNSERVED_S)
        raise
    if changed:
        raise SlipwayError("; ".join(changed.values()))
