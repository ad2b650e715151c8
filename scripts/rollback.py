"""Serve the versions that were live before, in the running server, and prove them again."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from slipway import local_server
from slipway.artifacts import read_json, write_json
from slipway.errors import SlipwayError
from slipway.program import parser, progress, run, unwind_when_terminated
from slipway.repositories.versions import DEPLOYED_AGAIN
from slipway.triton.liveness import is_silent
from slipway.triton.place import alone, find_place
from slipway.triton.ports import Ports
from slipway.triton.receipts import announce, prove, receipt
from slipway.triton.store import Published, Store
from slipway.triton.switching import require_own_ports, switch


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts of the models (.json)")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until all models must be ready")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    arguments.add_argument("--state", type=Path, default=local_server.FOLDER, help="folder of the server's state")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find what was live before, switch to it, prove it, write the receipts."""
    unwind_when_terminated()
    with alone(arguments.state):
        live = {path: read_json(path) for path in arguments.receipts if path.is_file()}
        if not live:
            raise SlipwayError("nothing is deployed from this checkout, so there is nothing to go back from")
        now = {said["served_as"]: said["version"] for said in live.values()}
        versions = versions_before(Store(arguments.state), now)
        ports = ports_of(live)
        running = local_server.recover_state(arguments.state)
        require_own_ports(ports, running)
        keys = [version.index["engine_key"] for version in versions]
        shared_memory = shared_memory_of(live)
        place = find_place(
            *(keys, arguments.state, arguments.tensorrt_python, arguments.ready_timeout_s, shared_memory)
        )
        silent = running is not None and is_silent(arguments.state)
        start = local_server.next_start(arguments.state) if silent else local_server.start_number(arguments.state)
        proofs = switch(place, versions, ports, start, partial(prove, versions, place.host), afresh=silent)
        served = {version.name: (version, proof) for version, proof in zip(versions, proofs, strict=True)}
        write_receipts(live, served, arguments.state)
        place.store.history.withdraw(now)
    announce(versions, proofs, ports)
    progress(f"  {DEPLOYED_AGAIN}")


def versions_before(store: Store, now: dict[str, int]) -> list[Published]:
    """Return what was live before the versions that are now."""
    before = store.history.before(now)
    if before is None:
        named = ", ".join(f"{name} version {number}" for name, number in now.items())
        raise SlipwayError(
            f"nothing is kept that was live on this machine before {named}; `deploy.keep_versions` in config.yaml says "
            "how many versions are. Nothing was changed"
        )
    return [store.published(name, number) for name, number in before.items()]


def write_receipts(live: dict[Path, dict], served: dict[str, tuple[Published, dict]], state_folder: Path) -> None:
    """Write down what is live now, and withdraw the receipt of what is not served any more."""
    state = local_server.running_server(state_folder)
    for path, said in live.items():
        name, number = said["served_as"], said["version"]
        if name not in served:
            path.unlink()
            progress(f"  {name}: was not served before, so it is no longer")
            continue
        version, proof = served[name]
        back = {"rolled_back_from": number} if version.number != number else {}
        write_json(path, receipt(said["model"], version, proof | back, state))
        progress(f"  {name}: version {number} -> {version.number}" if back else f"  {name}: version {number} as before")


def ports_of(live: dict[Path, dict]) -> Ports:
    """Return where the receipts say that the server listens, with its TLS files as they are now."""
    server = next(iter(live.values()))["server"]
    ports = Ports.of(server["listening"])
    return replace(ports, tls=ports.tls.as_they_are_now(ports.host)) if ports.tls else ports


def shared_memory_of(live: dict[Path, dict]) -> bool:
    """Say whether the receipts' server shares memory with clients on this machine."""
    server = next(iter(live.values()))["server"]
    return (server.get("identity") or {}).get("shared_memory", False)


if __name__ == "__main__":
    run(main, parse_arguments())
