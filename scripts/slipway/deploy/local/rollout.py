"""A rollout on this machine, from its recorded intent to its recorded end, so that ledger and server agree.

The intent is recorded before the server changes. It stays until receipts and history have the proven versions. The next
command settles an interrupted rollout: if the server serves its versions and they are proven, it records them; else it
takes the rollout back.
"""

import contextlib
import errno
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tritonclient.utils import InferenceServerException

from slipway.core.artifacts import write_json
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.os_errors import explained
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import LocalInstallation, lock
from slipway.deploy.local.live_sets import Versions
from slipway.deploy.local.model_store import ModelStore, Published
from slipway.deploy.local.receipts import prove, receipt
from slipway.deploy.local.switching import load_again
from slipway.triton.client.connection import connect
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.ports import Ports
from slipway.triton.server.restricted_apis import header

DEPLOYMENT, ROLLBACK = "deployment", "rollback"
# Timeouts: for a server to state its versions, and to end a load that has begun.
ANSWER_S, LOADED_WITHIN_S = 10.0, 120.0
_FULL = (errno.ENOSPC, errno.EDQUOT)

# A function from the indexes of versions to the installation that can serve them.
FindInstallation = Callable[[list[dict]], LocalInstallation]


@dataclass(frozen=True)
class Rollout:
    """A change of the live versions: from `before` to `versions`.

    `receipts` are the receipts to write: {file: {"model", "served_as", "more": further entries}}. `withdrawn` are the
    receipts to remove, of models that are not served any more.
    """

    action: str
    versions: Versions
    before: Versions
    receipts: dict[str, dict]
    withdrawn: list[str]

    def __str__(self) -> str:
        return f"the {self.action} of {in_words(self.versions)}"


def in_words(versions: Versions) -> str:
    """Return versions as text."""
    return ", ".join(f"{name} version {number}" for name, number in versions.items()) or "nothing"


@contextlib.contextmanager
def under_way(store: ModelStore, state: Path, rollout: Rollout) -> Iterator[None]:
    """Record a rollout before the block begins; forget it again if the block rolled back."""
    store.ledger.write(rollout=asdict(rollout))
    try:
        yield
    except BaseException:
        if server_state.running_server(state) is None or served(state, rollout) == rollout.before:
            with contextlib.suppress(OSError):
                store.ledger.write(rollout=None)
        raise


def complete(store: ModelStore, state: Path, rollout: Rollout, versions: list[Published], proofs: list[dict]) -> None:
    """Record the versions as proven and live: first the receipts, then history and the rollout's end together."""
    server = server_state.running_server(state)
    proven = {version.name: (version, proof) for version, proof in zip(versions, proofs, strict=True)}
    receipts = {}
    for file, entry in rollout.receipts.items():
        version, proof = proven[entry["served_as"]]
        receipts[file] = receipt(entry["model"], version, proof | entry["more"], server)
    changes = {"rollout": None, "receipts": receipts}
    try:
        for file, content in receipts.items():
            write_json(file, content)
        for file in rollout.withdrawn:
            Path(file).unlink(missing_ok=True)
        if rollout.action == ROLLBACK:
            store.history.withdraw(rollout.before, rollout.versions, **changes)
        else:
            store.history.went_live(rollout.versions, **changes)
    except OSError as error:
        reason = f"the disk is full ({error})" if error.errno in _FULL else str(error)
        raise SlipwayError(
            f"{in_words(rollout.versions)} is served and was proven, but this could not be written down: {reason}. Put "
            "that right; the next `snakemake --cores 1 status`, deploy or rollback writes it down"
        ) from None


def settle(state: Path, find: FindInstallation, may_load: bool = True) -> Rollout | None:
    """Make the server and the record agree; return an interrupted deployment that was taken back.

    Without `may_load` the server does not change: a rollout that would have to be taken back is only reported.
    """
    store = ModelStore(state)
    store.ledger.set_aside_if_damaged()
    rollout = pending(store)
    taken_back = None
    if rollout and not _finish(store, state, rollout, find):
        taken_back = rollout if _take_back(store, state, rollout, find, may_load) else None
    restore_receipts(store)
    return taken_back if taken_back and taken_back.action == DEPLOYMENT else None


def settle_if_unlocked(state: Path, find: FindInstallation) -> None:
    """Settle for a read-only command: the server does not change, and an unsettled rollout is reported."""
    if not ModelStore(state).is_there():
        return
    try:
        with lock(state):
            settle(state, find, may_load=False)
    except SlipwayError as error:
        progress(f"  {error}")
    except OSError as error:  # a folder that is read-only, in which nothing can be settled
        progress(f"  {explained(error) or error}")


def pending(store: ModelStore) -> Rollout | None:
    """Return the rollout that was begun and has not ended; None if there is none."""
    recorded = store.ledger.read()["rollout"]
    return Rollout(**recorded) if recorded else None


def served(state: Path, rollout: Rollout) -> Versions:
    """Return the version that the live server states for each model of a rollout.

    A load goes on after its client has gone, so wait for its end first.
    """
    running = server_state.running_server(state)
    if not running:
        return {}
    ports, names = Ports.of(running["listening"]), {**rollout.before, **rollout.versions}
    deadline = time.monotonic() + LOADED_WITHIN_S
    while (now := loaded(ports, state)) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return {name: number for name, number in (now or {}).items() if name in names}


def loaded(ports: Ports, state: Path) -> Versions | None:
    """Return the ready version of each model on a server; None while one changes, {} if the server does not answer."""
    with connect(endpoint_of(ports)) as client:
        try:
            options = {"headers": header(state), "client_timeout": ANSWER_S, "as_json": True}
            listed = client.get_model_repository_index(**options).get("models", [])
        except (InferenceServerException, OSError):
            return {}
    ready = [(each["name"], int(each["version"])) for each in listed if each.get("state") == "READY"]
    changes = len(dict(ready)) < len(ready) or any(each.get("state") == "LOADING" for each in listed)
    return None if changes else dict(ready)


def restore_receipts(store: ModelStore) -> None:
    """Write every receipt again that is lost, damaged, or different from the recorded one."""
    for file, content in store.ledger.read()["receipts"].items():
        if _read(Path(file)) != content:
            write_json(file, content)
            progress(f"  {file} was not the receipt of what is live; it was written anew")


def forget(store: ModelStore) -> None:
    """Record that nothing is live any more, and that no rollout is under way."""
    if store.is_there():
        store.ledger.write(rollout=None, receipts={})


def _finish(store: ModelStore, state: Path, rollout: Rollout, find: FindInstallation) -> bool:
    """Record an interrupted rollout if the server serves its versions and they are proven now; say whether it did."""
    if not rollout.versions or served(state, rollout) != rollout.versions:
        return False
    ports = Ports.of(server_state.running_server(state)["listening"])
    try:
        versions = [store.published(name, number) for name, number in rollout.versions.items()]
        proofs = prove(versions, find([version.index for version in versions]).host, ports)
    except SlipwayError as error:
        progress(f"  {rollout} was interrupted, and its versions are not proven: {error}")
        return False
    complete(store, state, rollout, versions, proofs)
    progress(f"  {rollout} was interrupted before it was written down; it serves, is proven, and is written down now")
    return True


def _take_back(store: ModelStore, state: Path, rollout: Rollout, find: FindInstallation, may_load: bool) -> bool:
    """Load the versions that were live before, and forget the rollout; say whether the server serves them."""
    now, running = served(state, rollout), server_state.running_server(state)
    if running and now != rollout.before:
        try:
            if not may_load:
                raise SlipwayError("`snakemake --cores 1 deploy` or rollback puts that right")
            indexes = [store.published(name, number).index for name, number in rollout.before.items()]
            load_again(find(indexes), rollout.before, Ports.of(running["listening"]))
        except SlipwayError as error:
            progress(
                f"  WARNING: {rollout} was interrupted; {in_words(now)} is served, but {in_words(rollout.before)} was "
                f"proven: {error}"
            )
            return False
        now = served(state, rollout)
    store.ledger.write(rollout=None)
    progress(f"  {rollout} was interrupted and did not get live; served now: {in_words(now)}")
    return running is not None


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
