"""The proof of a deployment: the smoke test of each version, its receipt, and the summary at the end."""

import datetime
from pathlib import Path

from slipway.core.cli import progress
from slipway.core.records import read_record
from slipway.deploy.local.compatibility import Host, require_fit
from slipway.deploy.local.model_store import ModelStore, Published
from slipway.load_test.latency_check import canary
from slipway.outputs.showing import lines_of
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.client.smoke_test import smoke_test
from slipway.triton.server import releases

# The parts of a receipt that are read back.
RECEIPT = {
    "origin": str,
    "served_as": str,
    "deployed_at": str,
    "server": {"pid": int, "listening": {"host": str, "grpc": int, "metrics": int}},
    "chain": {"weights_sha256": str, "engine_files": {str: str}},
    "served_files": {str: str},
    "engine_key": {"runtime": str, "runtime_version": str, "precision": str, "hardware": str},
    "smoke_test": {"instances": int, "max_batch_size": int},
}


def prove(versions: list[Published], host: Host, ports: Ports) -> list[dict]:
    """Smoke-test every version at `ports`, and compare its engine with the server, which states its version now."""
    proofs = []
    for version in versions:
        with ModelClient(ports, version.name) as client:
            tested = smoke_test(client, version.expected)
        verified = require_fit(version.name, version.index["engine_key"], host, tested["server_version"])
        proofs.append({"smoke_test": tested, "verified": verified})
    return proofs


def prove_under_load(versions: list[Published], host: Host, ports: Ports) -> list[dict]:
    """Prove every version, and that it keeps its promised latency."""
    proofs = prove(versions, host, ports)
    for version, proof in zip(versions, proofs, strict=True):
        promised = version.index["promise"]
        proof["canary"] = canary(
            ports, version.name, version.expected.golden_input, promised["in_flight"], promised["p99_limit_ms"]
        )
    return proofs


def receipt(model: str, version: Published, proof: dict, state: dict) -> dict:
    """Return the receipt of a live version: the chain of SHA-256 from weights to served files, and the proof."""
    index = version.index
    return {
        "origin": index["origin"],
        "model": model,
        "served_as": version.name,
        "version": version.number,
        "deployed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "server": state,
        "chain": {**index["chain"], "repository_index_sha256": version.index_sha256},
        "served_files": index["files"],
        "engine_key": index["engine_key"],
        "input_dtype": index["input_dtype"],
        "output": version.expected.meaning.record(),
        "proven_on_labels": index["proven_on_labels"],
        **proof,
    }


def receipts_of_dropped(receipts: list[Path], store: ModelStore) -> list[Path]:
    """Return the receipts of models that this checkout's server served but config.yaml no longer names.

    `receipts` are the receipts of the models in config.yaml, each results/<model>/deploy/<receipt>.
    """
    first, named = receipts[0].absolute(), {path.absolute() for path in receipts}
    others = sorted(set(first.parents[2].glob(f"*/{first.parent.name}/{first.name}")) - named)
    named_as = {path: read_record(path, {"served_as": str}) for path in others}
    return [path for path, receipt in named_as.items() if receipt and store.knows(receipt["served_as"])]


def announce(versions: list[Published], proofs: list[dict], ports: Ports) -> None:
    """Print the live versions, their answers, and how to stop them."""
    lines = []
    for version, proof in zip(versions, proofs, strict=True):
        tested, verified = proof["smoke_test"], proof["verified"]
        lines += [f"{version.name} answers the sample photograph in {tested['latency_ms']:.1f} ms (median):"]
        lines += [f"    {line}" for line in lines_of(tested)]
        meaning = version.expected.meaning
        if not meaning.has_classes:
            lines += [f"    its outputs are {meaning.in_words}: {meaning.because}"]
        if tested.get("weakness"):
            lines += [f"    CAUTION: {tested['weakness']}"]
        if not verified["runtime"]:
            lines += [f"    not verified: the version that runs the engine ({verified['told_by']})"]
        if version.index["origin"] == "rehearsal":
            lines += ["    REHEARSAL: random weights, so these predictions mean nothing"]
    server_version = proofs[0]["smoke_test"]["server_version"]
    lines += [
        f"Triton {server_version} listens on {ports.host}: gRPC {ports.grpc}{_secured(ports)}, "
        f"{f'HTTP {ports.http}, ' if ports.http else ''}metrics http://{ports.clear_host}:{ports.metrics}/metrics",
        *releases.cautions(server_version),
        "stop it with: snakemake --cores 1 undeploy        look at it with: snakemake --cores 1 status",
    ]
    progress("\n".join(f"  {line}" for line in ["", *lines, ""]))


def _secured(ports: Ports) -> str:
    """Return as text how gRPC is encrypted, and that metrics and HTTP are not."""
    if ports.tls is None:
        return ""
    return f" over {'mutual ' if ports.tls.client_ca else ''}TLS; in the clear on {ports.clear_host}"
