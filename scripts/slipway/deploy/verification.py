"""The proof of a remote deployment: smoke test and canary of each target, the receipt, and the summary."""

import datetime

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.release import Part, Release
from slipway.deploy.validation import verified
from slipway.load_test.latency_check import canary
from slipway.outputs.showing import sentence_of
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.smoke_test import Expected, smoke_test
from slipway.triton.server.tritonserver import Ports


def prove(release: Release, reached: dict[str, Ports]) -> dict[str, dict]:
    """Return the proofs of each target: {target: {"smoke_test", "verified", "canary"}}.

    Raises SlipwayError with the target's name if a server's answer is wrong, or slower than the promised latency.
    """
    proofs = {}
    for part in release.parts:
        try:
            proofs[part.target] = _prove(part, part.expected(release.golden), reached[part.target])
        except (SlipwayError, OSError) as error:
            raise SlipwayError(f"on {part.target}, {error}") from None
    return proofs


def receipt_of(release: Release, number: int, proofs: dict[str, dict], **more: object) -> dict:
    """Return the receipt of a live release: the chain from the weights to the platform, and the proofs."""
    first = release.parts[0].index_content
    return {
        "origin": first["origin"],
        "model": release.model,
        "to": release.to,
        "served_as": first["name"],
        "number": number,
        "deployed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "identity": release.identity,
        "targets": {part.target: _of_target(part) | proofs[part.target] for part in release.parts},
        **more,
    }


def announce(receipt: dict, files: str) -> None:
    """Print the live release, its answers, and the commands to look at it and to go back."""
    place = ", ".join(f"{name} {value}" for name, value in receipt["place"].items() if value)
    lines = [f"{receipt['served_as']} is live on {receipt['to']} ({place}), from {files}:"]
    for target, proof in receipt["targets"].items():
        tested = proof["smoke_test"]
        lines.append(
            f"    {target}: version {proof['version']}, {sentence_of(tested, 1)}, p99 "
            f"{proof['canary']['p99_ms']:.0f} ms as asked from here, Triton {tested['server_version']}"
        )
        if tested.get("weakness"):
            lines.append(f"    CAUTION: {tested['weakness']}")
        if not proof["verified"]["runtime"]:
            lines.append(f"    not verified: the version that runs the engine ({proof['verified']['told_by']})")
    lines.append("look at it with: snakemake --cores 1 status        go back with: snakemake --cores 1 rollback")
    progress("\n".join(f"  {line}" for line in ["", *lines, ""]))


def _prove(part: Part, expected: Expected, ports: Ports) -> dict:
    with ModelClient(ports, expected.name) as client:
        tested = smoke_test(client, expected)
    promise = part.index_content["promise"]
    latency = canary(ports, expected.name, expected.golden_input, promise["in_flight"], promise["p99_limit_ms"])
    return {"smoke_test": tested, "verified": verified(part, tested["server_version"]), "canary": latency}


def _of_target(part: Part) -> dict:
    """Return a target's entries in the receipt, without the proofs."""
    index, values = part.index_content, part.values
    return {
        "version": values["version"],
        "chain": {**index["chain"], "repository_index_sha256": part.index_sha256},
        "engine_key": index["engine_key"],
        "image": values["image"],
        "repository": values["repository_path"],
        "output": index.get("output"),
        "proven_on_labels": index["proven_on_labels"],
    }
