"""Serve the model repositories from a tritonserver on this machine, and prove it with a smoke test."""

import argparse
import datetime
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from slipway import local_server
from slipway.artifacts import read_json, sha256, tree_digest, write_json
from slipway.errors import SlipwayError
from slipway.program import parser, progress, run
from slipway.runtimes import RUNTIMES
from slipway.triton.client import ModelClient
from slipway.triton.fitness import Host, require_fit
from slipway.triton.modelconfig import NATIVE
from slipway.triton.server import DRAIN_S, Installation, Ports, Server, find_installation, stop_process
from slipway.triton.smoke_test import Expected, smoke_test


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line; the lists have one entry a model, in the same order."""
    arguments = parser(__doc__)
    arguments.add_argument("--models", nargs="+", required=True, help="names of the models")
    arguments.add_argument("--folders", type=Path, nargs="+", required=True, help="model folders of the repositories")
    arguments.add_argument("--indexes", type=Path, nargs="+", required=True, help="indexes of the repositories (.json)")
    arguments.add_argument("--goldens", type=Path, nargs="+", required=True, help="golden inputs and logits (.npz)")
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts to write (.json)")
    arguments.add_argument("--host", default="127.0.0.1", help="address to listen on")
    arguments.add_argument("--http-port", type=int, default=8000, help="port of the HTTP API")
    arguments.add_argument("--grpc-port", type=int, default=8001, help="port of the gRPC API")
    arguments.add_argument("--metrics-port", type=int, default=8002, help="port of the Prometheus metrics")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until all models must be ready")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    arguments.add_argument("--start", type=int, default=1, help="which start of the server this is")
    arguments.add_argument(
        "--state", type=Path, default=local_server.FOLDER, help="folder of the server's state and log"
    )
    return arguments.parse_args(argv)


@dataclass(frozen=True)
class Deployment:
    """One model to serve: where its folder is, what its index says, and what it must answer."""

    model: str
    folder: Path
    index: dict
    index_sha256: str
    expected: Expected
    receipt: Path


@dataclass(frozen=True)
class Place:
    """Where the models are served: the server that is started, what runs the engines in it, and its state's folder."""

    installation: Installation
    host: Host
    state: Path
    ready_timeout_s: float


def main(arguments: argparse.Namespace) -> None:
    """Check files, ports and fitness, try the new repositories beside a live server, switch, prove, write receipts."""
    deployments = read_deployments(arguments)
    ports = Ports(arguments.http_port, arguments.grpc_port, arguments.metrics_port, arguments.host)
    running = local_server.read_state(arguments.state)
    running = running if local_server.is_running(running) else None
    require_own_ports(ports, running)
    place = find_place(deployments, arguments)
    require_fitness(deployments, place.host)
    if running:
        progress("  a server of this checkout is live; trying the new repository beside it first")
        try_beside(deployments, place)
        stop_process(running["pid"], DRAIN_S)
    proofs = switch_on(deployments, ports, place, arguments.start)
    state = local_server.read_state(arguments.state)
    for deployment, proof in zip(deployments, proofs, strict=True):
        write_json(deployment.receipt, receipt(deployment, proof, state))
    announce(deployments, proofs, ports)


def read_deployments(arguments: argparse.Namespace) -> list[Deployment]:
    """Return what to deploy; raise SlipwayError when a repository is not the one of its index."""
    found = []
    for model, folder, index_path, golden_path, path in zip(
        *(arguments.models, arguments.folders, arguments.indexes, arguments.goldens, arguments.receipts), strict=True
    ):
        index = read_json(index_path)
        if tree_digest(folder) != index["files"]:
            raise SlipwayError(
                f"{folder} is not what {index_path.name} says: edited or truncated; remove {index_path} and run again"
            )
        golden = np.load(golden_path)
        labels = (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
        expected = Expected(index["name"], golden["input"], golden["logits"], labels, index["accuracy_limits"])
        found.append(Deployment(model, folder, index, sha256(index_path), expected, path))
    return found


def require_own_ports(ports: Ports, running: dict | None) -> None:
    """Raise SlipwayError when another server listens on a port that is to be used."""
    own = {running["listening"][name] for name in ("http", "grpc", "metrics")} if running else set()
    foreign = [port for port in ports.taken() if port not in own]
    if foreign:
        raise SlipwayError(
            f"port {foreign[0]} on {ports.host} is taken by {local_server.who_listens(foreign[0])}, which this "
            "checkout did not start. Stop it, or set other ports under `deploy` in config.yaml; nothing was changed"
        )


def find_place(deployments: list[Deployment], arguments: argparse.Namespace) -> Place:
    """Return where the models are served: a server of this machine, and what runs the engines in it."""
    keys = [deployment.index["engine_key"] for deployment in deployments]
    runtimes = {key["runtime"] for key in keys}
    # An interpreter that has TensorRT need not have what any other runtime's engines want.
    python = arguments.tensorrt_python if any(RUNTIMES[name].is_tensorrt for name in runtimes) else None
    installation = find_installation(arguments.state, {NATIVE[name][0] for name in runtimes}, python).for_engines(keys)
    return Place(installation, Host(installation.native_backends, python), arguments.state, arguments.ready_timeout_s)


def require_fitness(deployments: list[Deployment], host: Host) -> None:
    """Raise SlipwayError when an engine was built for other hardware or another version than what would run it."""
    for deployment in deployments:
        try:
            require_fit(deployment.index["name"], deployment.index["engine_key"], host)
        except SlipwayError as error:
            raise SlipwayError(f"{error}. Nothing was changed.") from None


def try_beside(deployments: list[Deployment], place: Place) -> None:
    """Serve the new repositories at free ports and smoke-test them there, so a bad one never replaces a good one."""
    try:
        with server_of(deployments, Ports.free(), place, "trial.log") as trial:
            trial.wait_until_ready(place.ready_timeout_s)
            prove(deployments, trial.ports, place.host)
    except SlipwayError as error:
        raise SlipwayError(f"{error}\nThe server that was live serves on unchanged.") from None


def switch_on(deployments: list[Deployment], ports: Ports, place: Place, start: int) -> list[dict]:
    """Start the server at its real ports and return what was found of each model; stop it again when one fails."""
    server = server_of(deployments, ports, place, "server.log")
    process = server.start()
    try:
        local_server.write_state(place.state, process.pid, start, asdict(ports))
        progress(f"  ready after {server.wait_until_ready(place.ready_timeout_s):.1f} s")
        return prove(deployments, ports, place.host)
    except BaseException:
        stop_process(process.pid, timeout_s=5)
        local_server.forget_state(place.state)
        raise


def server_of(deployments: list[Deployment], ports: Ports, place: Place, log: str) -> Server:
    """Return the server of these models, not started yet."""
    repositories = [deployment.folder.parent for deployment in deployments]
    return Server(place.installation, repositories, ports, place.state / log)


def prove(deployments: list[Deployment], ports: Ports, host: Host) -> list[dict]:
    """Smoke-test every model, and compare its engine with the server that now states its version."""
    proofs = []
    for deployment in deployments:
        with ModelClient(ports, deployment.expected.name) as client:
            tested = smoke_test(client, deployment.expected)
        verified = require_fit(deployment.index["name"], deployment.index["engine_key"], host, tested["server_version"])
        proofs.append({"smoke_test": tested, "verified": verified})
    return proofs


def receipt(deployment: Deployment, proof: dict, state: dict) -> dict:
    """Return the record of what is live: the chain of SHA-256 from the weights to the served files, and its proof."""
    return {
        "origin": deployment.index["origin"],
        "model": deployment.model,
        "served_as": deployment.index["name"],
        "deployed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "server": state,
        "repository": str(deployment.folder),
        "chain": {**deployment.index["chain"], "repository_index_sha256": deployment.index_sha256},
        "served_files": deployment.index["files"],
        "engine_key": deployment.index["engine_key"],
        "input_dtype": deployment.index["input_dtype"],
        "proven_on_labels": deployment.index["proven_on_labels"],
        "verified": proof["verified"],
        "smoke_test": proof["smoke_test"],
    }


def announce(deployments: list[Deployment], proofs: list[dict], ports: Ports) -> None:
    """Tell the person what is live, what it answered, and how to stop it."""
    lines = []
    for deployment, proof in zip(deployments, proofs, strict=True):
        name, tested, verified = deployment.index["name"], proof["smoke_test"], proof["verified"]
        lines += [f"{name} answers the sample photograph in {tested['latency_ms']:.1f} ms (median):"]
        lines += [f"    {top['confidence']:6.1%}  {top['label']} (class {top['index']})" for top in tested["top"]]
        if not verified["runtime"]:
            lines += [f"    not verified: the version that runs the engine ({verified['told_by']})"]
        if deployment.index["origin"] == "rehearsal":
            lines += ["    REHEARSAL: random weights, so these predictions mean nothing"]
    server_version = proofs[0]["smoke_test"]["server_version"]
    lines += [
        f"Triton {server_version} listens on {ports.host}: gRPC {ports.grpc}, HTTP {ports.http}, "
        f"metrics http://{ports.host}:{ports.metrics}/metrics",
        "stop it with: snakemake --cores 1 undeploy        look at it with: snakemake --cores 1 status",
    ]
    progress("\n".join(f"  {line}" for line in ["", *lines, ""]))


if __name__ == "__main__":
    run(main, parse_arguments())
