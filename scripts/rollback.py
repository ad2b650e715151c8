"""Serve the versions that were live before, in the running server, and prove them again."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from slipway import local_server
from slipway.artifacts import read_json, write_json
from slipway.errors import SlipwayError
from slipway.program import parser, progress, run
from slipway.triton.place import alone, find_place
from slipway.triton.ports import Ports
from slipway.triton.receipts import announce, prove, receipt
from slipway.triton.store import Published, Store
from slipway.triton.switching import switch


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts of the models (.json)")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until all models must be ready")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    arguments.add_argument("--state", type=Path, default=local_server.FOLDER, help="folder of the server's state")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find the version before each live one, switch to it, prove it, write the receipts."""
    with alone(arguments.state):
        live = {path: read_json(path) for path in arguments.receipts if path.is_file()}
        if not live:
            raise SlipwayError("nothing is deployed from this checkout, so there is nothing to go back from")
        versions = [version_before(Store(arguments.state), said) for said in live.values()]
        keys = [version.index["engine_key"] for version in versions]
        place = find_place(keys, arguments.state, arguments.tensorrt_python, arguments.ready_timeout_s)
        server = next(iter(live.values()))["server"]
        ports = Ports.of(server["listening"])
        if ports.tls:
            ports = replace(ports, tls=ports.tls.as_they_are_now(ports.host))
        start = local_server.start_number(arguments.state)
        proofs = switch(place, versions, ports, start, partial(prove, versions, place.host))
        state = local_server.read_state(arguments.state)
        for (path, said), version, proof in zip(live.items(), versions, proofs, strict=True):
            write_json(path, receipt(said["model"], version, {**proof, "rolled_back_from": said["version"]}, state))
            progress(f"  {version.name}: version {said['version']} -> {version.number}")
    announce(versions, proofs, ports)


def version_before(store: Store, live: dict) -> Published:
    """Return the newest version of a model that is older than the live one."""
    name, number = live["served_as"], live["version"]
    older = [each for each in store.versions(name) if each < number]
    if not older:
        raise SlipwayError(
            f"{name} has no version before {number} on this machine; `deploy.keep_versions` in config.yaml says how "
            "many are kept. Nothing was changed"
        )
    return store.published(name, older[-1])


if __name__ == "__main__":
    run(main, parse_arguments())
