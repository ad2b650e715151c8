"""What a deployment elsewhere proves of each target, and what is written down and told of it."""

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


def prove(candidate: Release, reached: dict[str, Ports]) -> dict[str, dict]:
    """Return what was proven of each target: {"smoke_test", "verified", "canary"}.

    Raises SlipwayError naming the target when a server does not answer as it must, or not in the time that it was
    chosen for.
    """
    proofs = {}
    for part in candidate.parts:
        try:
            proofs[part.target] = _prove(part, part.expected(candidate.golden), reached[part.target])
        except (SlipwayError, OSError) as error:
            raise SlipwayError(f"on {part.target}, {error}") from None
    return proofs


def receipt_of(candidate: Release, number: int, proofs: dict[str, dict], **more: object) -> dict:
    """Return the record of what is live: the chain from the weights to the place, and what was proven of it."""
    first = candidate.parts[0].said
    return {
        "origin": first["origin"],
        "model": candidate.model,
        "to": candidate.to,
        "served_as": first["name"],
        "number": number,
        "deployed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "identity": candidate.identity,
        "targets": {part.target: _of_target(part) | proofs[part.target] for part in candidate.parts},
        **more,
    }


def announce(receipt: dict, files: str) -> None:
    """Tell the person what is live where, what it answered, and how to look at it and to stop it."""
    place = ", ".join(f"{name} {told}" for name, told in receipt["place"].items() if told)
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
    promised = part.said["promise"]
    held = canary(ports, expected.name, expected.golden_input, promised["in_flight"], promised["p99_limit_ms"])
    return {"smoke_test": tested, "verified": verified(part, tested["server_version"]), "canary": held}


def _of_target(part: Part) -> dict:
    """Return what is served on a target, whatever was proven of it."""
    index, values = part.said, part.values
    return {
        "version": values["version"],
        "chain": {**index["chain"], "repository_index_sha256": part.index_sha256},
        "engine_key": index["engine_key"],
        "image": values["image"],
        "repository": values["repository_path"],
        "output": index.get("output"),
        "proven_on_labels": index["proven_on_labels"],
    }
