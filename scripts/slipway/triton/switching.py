"""Switching the local server to other versions of its models, and back to the last good ones when those do not hold.

A running server takes them without losing a request: told to load a model, Triton serves the old version until the new
one is ready. Only a server that has to listen or to be started otherwise is replaced by another.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from tritonclient.utils import InferenceServerException

from slipway import local_server
from slipway.errors import SlipwayError
from slipway.program import progress
from slipway.triton.connection import connect, endpoint_of
from slipway.triton.place import Place
from slipway.triton.restrictions import header, keep_key, new_key
from slipway.triton.server import DRAIN_S, Ports, stop_process
from slipway.triton.server_tls import ServerTls
from slipway.triton.store import Published

# How long a server that nobody asks any more is given to end.
UNSERVED_S = 5
SERVES_ON = "The server that was live serves on unchanged."
# Where a server that new versions are tried in is recorded, below the state of the live one.
TRIAL = "trial"

# Given where a server listens, returns what was proven of each version, or raises SlipwayError.
Prove = Callable[[Ports], list[dict]]


def require_own_ports(ports: Ports, running: dict | None) -> None:
    """Raise SlipwayError when another server than the `running` one listens on a port that is to be used."""
    own = {running["listening"][name] for name in ("http", "grpc", "metrics")} if running else set()
    foreign = [port for port in ports.taken() if port not in own]
    if foreign:
        raise SlipwayError(
            f"port {foreign[0]} on {ports.host} is taken by {local_server.who_listens(foreign[0])}, which this "
            "checkout did not start. Stop it, or set other ports under `deploy` in config.yaml; nothing was changed"
        )


def try_beside(
    place: Place, repositories: list[Path], names: list[str], prove: Prove, tls: ServerTls | None = None
) -> None:
    """Serve models at free ports and prove them there, so that a bad one never comes near a live server."""
    trial = place.state / TRIAL
    stop_left_over(place.state)
    server = place.server(repositories, names, replace(Ports.free(), tls=tls), "trial.log", new_key())
    process = server.start()
    try:
        local_server.write_state(trial, process.pid, 0, asdict(server.ports))
        server.wait_until_ready(place.ready_timeout_s)
        prove(server.ports)
    except SlipwayError as error:
        raise SlipwayError(f"{error}\n{SERVES_ON}") from None
    finally:
        stop_process(process.pid, UNSERVED_S)
        local_server.forget_state(trial)


def stop_left_over(state: Path) -> None:
    """Stop the trial server of a deployment that was killed."""
    left = local_server.running_server(state / TRIAL)
    if left:
        stop_process(left["pid"], UNSERVED_S)
    local_server.forget_state(state / TRIAL)


def switch(place: Place, versions: list[Published], ports: Ports, start: int, prove: Prove) -> list[dict]:
    """Serve these versions at `ports` and return their proofs; when one does not hold, serve what was served before.

    `start` is the number of a server that has to be started for it.
    """
    running = local_server.running_server(place.state)
    before = live_before(place, versions)
    if running and takes_versions(running, place, ports):
        return switch_in_place(place, versions, before, ports, prove)
    return replace_server(place, versions, before, ports, start, prove)


def live_before(place: Place, versions: list[Published]) -> dict[str, int | None]:
    """Return what to go back to: all that was live, also models that are left out now; None for one that is new."""
    live = place.store.history.live()
    new = {version.name: None if live else place.store.selected(version.name) for version in versions}
    return new | live


def takes_versions(running: dict, place: Place, ports: Ports) -> bool:
    """Say whether the running server is to load versions: it listens and runs as wanted, and its key is here."""
    as_wanted = running["listening"] == asdict(ports) and running["identity"] == place.identity
    return as_wanted and local_server.key_file(place.state).is_file()


def switch_in_place(
    place: Place, versions: list[Published], before: dict[str, int | None], ports: Ports, prove: Prove
) -> list[dict]:
    """Load the versions in the running server; load the earlier ones again when one fails or does not hold."""
    progress("  switching in the running server, which answers all the while")
    try:
        load(place, {version.name: version.number for version in versions}, ports)
        return prove(ports)
    except BaseException as error:
        with telling_both(error, "`snakemake --cores 1 status` says what is served now."):
            load(place, before, ports)
        if isinstance(error, SlipwayError):
            raise SlipwayError(f"{error}\n{SERVES_ON}") from None
        raise


@contextlib.contextmanager
def telling_both(error: BaseException, now: str) -> Iterator[None]:
    """Go back in the block, after `error`; where that fails too, raise SlipwayError with both, and how it stands."""
    try:
        yield
    except SlipwayError as also:
        told = str(error) or type(error).__name__
        raise SlipwayError(f"{told}\nGoing back to what was live failed too: {also}\n{now}") from None


def load(place: Place, wanted: dict[str, int | None], ports: Ports) -> None:
    """Make the running server serve exactly these versions of models; None stands for no version."""
    told = {"headers": header(place.state), "client_timeout": place.ready_timeout_s}
    with connect(endpoint_of(ports)) as asked:
        try:
            for name, number in wanted.items():
                if number is not None:
                    place.store.select(name, number)
                    asked.load_model(name, **told)
            listed = asked.get_model_repository_index(as_json=True, **told).get("models", [])
            for name in {model["name"] for model in listed if model.get("state") == "READY"}:
                if wanted.get(name) is None:
                    asked.unload_model(name, **told)
        except InferenceServerException as error:
            raise SlipwayError(f"Triton does not load what was published: {error.message()}") from None


def replace_server(
    place: Place, versions: list[Published], before: dict[str, int | None], ports: Ports, start: int, prove: Prove
) -> list[dict]:
    """Start a server of the versions at `ports`, after stopping one that is there; go back to that when it fails."""
    running = local_server.running_server(place.state)
    if running:
        progress("  the server has to be started anew, since it is to listen or to run otherwise than before")
        stop_process(running["pid"], DRAIN_S)
    try:
        start_server(place, {version.name: version.number for version in versions}, ports, start)
        return prove(ports)
    except BaseException as error:
        stop_live(place.state)
        if not running:
            raise
        with telling_both(error, "Nothing is served now: `snakemake --cores 1 deploy` tries again."):
            start_again(place, before, Ports.of(running["listening"]), start)
        if isinstance(error, SlipwayError):
            raise SlipwayError(f"{error}\nThe versions that were live are served again.") from None
        raise


def start_server(place: Place, wanted: dict[str, int | None], ports: Ports, start: int) -> None:
    """Start the server with these versions and wait until all are ready."""
    served = {name: number for name, number in wanted.items() if number is not None}
    for name, number in served.items():
        place.store.select(name, number)
    key = new_key()
    keep_key(place.state, key)
    server = place.server([place.store.models], list(served), ports, "server.log", key)
    process = server.start()
    local_server.write_state(place.state, process.pid, start, asdict(ports), place.identity)
    progress(f"  ready after {server.wait_until_ready(place.ready_timeout_s):.1f} s")


def start_again(place: Place, before: dict[str, int | None], ports: Ports, start: int) -> None:
    """Start the server with the versions that were live; leave none behind that does not become ready."""
    try:
        start_server(place, before, ports, start)
    except BaseException:
        stop_live(place.state)
        raise


def stop_live(state: Path) -> None:
    """Stop the server that was just started, if it got that far."""
    running = local_server.running_server(state)
    if running:
        stop_process(running["pid"], UNSERVED_S)
    local_server.forget_state(state)
