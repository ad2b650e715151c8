"""Roll back the local server to the versions that were live before, and prove them again."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from slipway.core.cli import parser, progress, run, unwind_when_terminated
from slipway.core.errors import SlipwayError
from slipway.core.records import require_record
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import installation_for, local_installation, lock
from slipway.deploy.local.live_sets import Versions
from slipway.deploy.local.liveness import is_silent
from slipway.deploy.local.model_store import ModelStore, Published
from slipway.deploy.local.receipts import announce, prove
from slipway.deploy.local.rollout import DEPLOYMENT, ROLLBACK, Rollout, complete, pending, settle, under_way
from slipway.deploy.local.switching import require_own_ports, switch
from slipway.deploy.local.trial import try_beside
from slipway.triton.client.ports import Ports
from slipway.triton.repository.versions import DEPLOYED_AGAIN

# The remedy for a version that differs from the proven one.
INSTEAD = (
    "Nothing was changed, and what is live serves on. `snakemake --cores 1 deploy` serves what config.yaml says: to go "
    "back, put the earlier checkpoint or setting there"
)

# The parts of a receipt that are read here.
OF_VERSION = {
    **{"model": str, "served_as": str, "version": int},
    "server": {"listening": {"host": str, "grpc": int, "metrics": int}},
}
REWRITTEN = "`snakemake --cores 1 deploy` writes it again. Nothing was changed"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts of the models (.json)")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until all models must be ready")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    arguments.add_argument("--public-key", type=Path, help="key that every version must be signed with (.pem)")
    arguments.add_argument("--state", type=Path, default=server_state.FOLDER, help="folder of the server's state")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find the earlier versions, verify them, try them at other ports, switch, prove, write receipts."""
    unwind_when_terminated()
    with lock(arguments.state):
        find = partial(installation_for, arguments.state, arguments.tensorrt_python, arguments.ready_timeout_s)
        if settle(arguments.state, find):
            progress("  So this is what was live before; once more, and `rollback` goes back one further")
            return
        live = {path: require_record(path, OF_VERSION, REWRITTEN) for path in arguments.receipts if path.exists()}
        if not live:
            raise SlipwayError("nothing is deployed from this checkout, so there is nothing to go back from")
        now = {receipt["served_as"]: receipt["version"] for receipt in live.values()}
        store = ModelStore(arguments.state)
        interrupted = pending(store)
        versions = versions_before(
            store, now, interrupted.before if interrupted and interrupted.action == DEPLOYMENT else None
        )
        if arguments.public_key:
            require_signed(store, versions, arguments.public_key)
        ports = ports_of(live)
        running = server_state.recover_state(arguments.state)
        require_own_ports(ports, running)
        keys = [version.index["engine_key"] for version in versions]
        shared_memory = shared_memory_of(live)
        installation = local_installation(
            *(keys, arguments.state, arguments.tensorrt_python, arguments.ready_timeout_s, shared_memory)
        )
        proven = partial(prove, versions, installation.host)
        silent = running is not None and is_silent(arguments.state)
        if running and not silent:
            progress("  trying what was live before beside the server that is live")
            try_beside(installation, versions, proven, ports.tls)
        rollout = rollback_of(live, versions)
        with under_way(installation.store, arguments.state, rollout):
            start = server_state.next_start(arguments.state) if silent else server_state.start_number(arguments.state)
            proofs = switch(installation, versions, ports, start, proven, afresh=silent)
            complete(installation.store, arguments.state, rollout, versions, proofs)
    tell(live, versions)
    announce(versions, proofs, ports)
    progress(f"  {DEPLOYED_AGAIN}")


def versions_before(store: ModelStore, now: Versions, interrupted: Versions | None = None) -> list[Published]:
    """Return the versions before the live ones; raise SlipwayError unless they are still as they were proven.

    `interrupted`: the versions before an interrupted deployment that could not be taken back.
    """
    before = interrupted or store.history.before(now)
    if before is None:
        named = ", ".join(f"{name} version {number}" for name, number in now.items())
        raise SlipwayError(
            f"nothing is kept that was live on this machine before {named}; `deploy.keep_versions` in config.yaml says "
            "how many versions are. Nothing was changed"
        )
    try:
        return [store.published(name, number) for name, number in before.items()]
    except SlipwayError as error:
        raise SlipwayError(f"{error}. {INSTEAD}") from None


def require_signed(store: ModelStore, versions: list[Published], public_key: Path) -> None:
    """Raise SlipwayError unless every version has a signature that the public key verifies."""
    for version in versions:
        try:
            store.require_signed(version.name, version.number, public_key)
        except SlipwayError as error:
            raise SlipwayError(f"{error}. {INSTEAD}") from None


def rollback_of(live: dict[Path, dict], versions: list[Published]) -> Rollout:
    """Return the rollout: the versions, the receipts to write, and the receipts to withdraw."""
    numbers = {version.name: version.number for version in versions}
    receipts, withdrawn = {}, []
    for path, receipt in live.items():
        name, number = receipt["served_as"], receipt["version"]
        if name not in numbers:
            withdrawn.append(path.as_posix())
            continue
        more = {"rolled_back_from": number} if numbers[name] != number else {}
        receipts[path.as_posix()] = {"model": receipt["model"], "served_as": name, "more": more}
    before = {receipt["served_as"]: receipt["version"] for receipt in live.values()}
    return Rollout(ROLLBACK, numbers, before, receipts, withdrawn)


def tell(live: dict[Path, dict], versions: list[Published]) -> None:
    """Print for each model the version that is served now."""
    numbers = {version.name: version.number for version in versions}
    for receipt in live.values():
        name, number = receipt["served_as"], receipt["version"]
        if name not in numbers:
            progress(f"  {name}: was not served before, so it is no longer")
        else:
            same = numbers[name] == number
            progress(f"  {name}: version {number} " + ("as before" if same else f"-> {numbers[name]}"))


def ports_of(live: dict[Path, dict]) -> Ports:
    """Return the ports in the receipts, with the TLS files as they are now."""
    server = next(iter(live.values()))["server"]
    ports = Ports.of(server["listening"])
    return replace(ports, tls=ports.tls.as_they_are_now(ports.host)) if ports.tls else ports


def shared_memory_of(live: dict[Path, dict]) -> bool:
    """Say whether the receipts' server shares memory with clients on this machine."""
    server = next(iter(live.values()))["server"]
    return (server.get("identity") or {}).get("shared_memory", False)


if __name__ == "__main__":
    run(main, parse_arguments())
