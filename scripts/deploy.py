"""Deploy the model repositories to a tritonserver on this machine: publish, try, switch, prove, or change nothing.

If any step fails, and even after a kill, the live version goes on serving.
"""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slipway.core.artifacts import read_json
from slipway.core.cli import parser, progress, run, unwind_when_terminated
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import add_planned
from slipway.deploy.local import server_state
from slipway.deploy.local.compatibility import Host, require_fit
from slipway.deploy.local.installation import installation_for, local_installation, lock
from slipway.deploy.local.liveness import is_silent
from slipway.deploy.local.model_store import ModelStore, Published
from slipway.deploy.local.receipts import announce, prove, prove_under_load, receipts_of_dropped
from slipway.deploy.local.rollout import DEPLOYMENT, Rollout, complete, settle, under_way
from slipway.deploy.local.switching import require_own_ports, switch
from slipway.deploy.local.trial import try_beside
from slipway.triton.client.ports import Ports
from slipway.triton.repository.versions import read_index
from slipway.triton.server import releases
from slipway.triton.server.exposure import require_accepted
from slipway.triton.server.tls import add_tls, tls_of


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line; the lists have one entry for each model, in the same order."""
    arguments = parser(__doc__)
    arguments.add_argument("--models", nargs="+", required=True, help="names of the models")
    arguments.add_argument("--folders", type=Path, nargs="+", required=True, help="model folders of the repositories")
    arguments.add_argument("--indexes", type=Path, nargs="+", required=True, help="indexes of the repositories (.json)")
    arguments.add_argument("--goldens", type=Path, nargs="+", required=True, help="golden inputs and logits (.npz)")
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts to write (.json)")
    arguments.add_argument("--host", default="127.0.0.1", help="address to listen on")
    arguments.add_argument("--http-port", type=int, help="port of the HTTP API; left out, there is none")
    arguments.add_argument("--grpc-port", type=int, default=8001, help="port of the gRPC API")
    arguments.add_argument("--metrics-port", type=int, default=8002, help="port of the Prometheus metrics")
    arguments.add_argument(
        "--shared-memory", action=argparse.BooleanOptionalAction, default=False, help="let clients here share memory"
    )
    arguments.add_argument("--oldest", default=releases.FLOOR, help="oldest Triton release that others may reach")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until all models must be ready")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    arguments.add_argument("--keep-versions", type=int, default=3, help="versions of a model to keep, the live one too")
    arguments.add_argument("--public-key", type=Path, help="key that every repository must be signed with (.pem)")
    arguments.add_argument("--signatures", type=Path, nargs="+", help="signatures of the repositories (.sig)")
    add_planned(arguments, "public_key_sha256")
    add_tls(arguments)
    arguments.add_argument("--start", type=int, default=1, help="which start of the server this is")
    arguments.add_argument(
        "--state", type=Path, default=server_state.FOLDER, help="folder of the server's state and log"
    )
    return arguments.parse_args(argv)


@dataclass(frozen=True)
class Deployment:
    """One model to serve: the paths of its folder, golden logits and receipt, and the content of its index."""

    model: str
    folder: Path
    index: dict
    golden: Path
    receipt: Path
    signature: Path | None = None


def main(arguments: argparse.Namespace) -> None:
    """Check, publish beside the old versions, try, switch, prove, write receipts."""
    unwind_when_terminated()
    with lock(arguments.state):
        find = partial(installation_for, arguments.state, arguments.tensorrt_python, arguments.ready_timeout_s)
        settle(arguments.state, find)
        deployments = read_deployments(arguments)
        listening = (arguments.http_port, arguments.grpc_port, arguments.metrics_port, arguments.host)
        ports = Ports(*listening, tls_of(arguments))
        keys = [deployment.index["engine_key"] for deployment in deployments]
        require_accepted(arguments.host, {key["runtime"] for key in keys}, arguments.oldest)
        running = server_state.recover_state(arguments.state)
        require_own_ports(ports, running)
        installation = local_installation(
            *(keys, arguments.state, arguments.tensorrt_python, arguments.ready_timeout_s, arguments.shared_memory)
        )
        require_fitness(deployments, installation.host)
        require_signed(arguments)
        versions = [
            installation.store.publish(each.folder, each.index, each.golden, each.signature) for each in deployments
        ]
        proven = partial(prove_under_load, versions, installation.host)
        silent = running is not None and is_silent(arguments.state)
        if running and not silent:
            progress("  a server of this checkout is live; trying the new repository beside it first")
            try_beside(installation, versions, proven, ports.tls)
            proven = partial(prove, versions, installation.host)
        rollout = deployment_of(deployments, versions, installation.store)
        with under_way(installation.store, arguments.state, rollout):
            proofs = switch(installation, versions, ports, arguments.start, proven, afresh=silent)
            complete(installation.store, arguments.state, rollout, versions, proofs)
        for version in versions:
            installation.store.prune(version.name, arguments.keep_versions)
    announce(versions, proofs, ports)


def read_deployments(arguments: argparse.Namespace) -> list[Deployment]:
    """Return the deployments; raise SlipwayError if a repository does not match its index."""
    deployments = []
    signatures = arguments.signatures or [None] * len(arguments.models)
    given = (arguments.folders, arguments.indexes, arguments.goldens, arguments.receipts, signatures)
    for model, folder, index_path, golden, path, signature in zip(arguments.models, *given, strict=True):
        deployments.append(Deployment(model, folder, read_index(folder.parent, index_path), golden, path, signature))
    return deployments


def require_signed(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError if a public key is given and does not verify the signature of every repository."""
    if arguments.public_key:
        # Only here, since it takes half a second to import.
        from slipway.triton.repository.signing import verify_repository

        for folder, signature in zip(arguments.folders, arguments.signatures, strict=True):
            try:
                verify_repository(folder.parent, arguments.public_key, signature)
            except SlipwayError as error:
                raise SlipwayError(f"{error}. Nothing was changed.") from None


def require_fitness(deployments: list[Deployment], host: Host) -> None:
    """Raise SlipwayError if an engine was built for other hardware, or for another version of its runtime."""
    for deployment in deployments:
        try:
            require_fit(deployment.index["name"], deployment.index["engine_key"], host)
        except SlipwayError as error:
            raise SlipwayError(f"{error}. Nothing was changed.") from None


def deployment_of(deployments: list[Deployment], versions: list[Published], store: ModelStore) -> Rollout:
    """Return the rollout, and print the models that config.yaml no longer names."""
    receipts = {
        each.receipt.as_posix(): {"model": each.model, "served_as": version.name, "more": {}}
        for each, version in zip(deployments, versions, strict=True)
    }
    dropped = receipts_of_dropped([each.receipt for each in deployments], store)
    for path in dropped:
        progress(f"  {read_json(path)['served_as']}: no longer served, since it is no longer in config.yaml")
    numbers = {version.name: version.number for version in versions}
    return Rollout(DEPLOYMENT, numbers, store.history.live(), receipts, [path.as_posix() for path in dropped])


if __name__ == "__main__":
    run(main, parse_arguments())
