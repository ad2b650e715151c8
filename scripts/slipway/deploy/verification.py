"""The proof of a deployment: a smoke test and a latency check of each part, and the receipts that record them.

A part is one model on one target. A receipt is the record of a model's deployment.
"""

import datetime

from slipway.core.errors import SlipwayError
from slipway.core.version import slipway_version
from slipway.deploy.platform import Platform
from slipway.deploy.release import Part, Release
from slipway.load_test.latency_check import canary
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.client.smoke_test import smoke_test


def prove(platform: Platform, release: Release, reached: dict[str, Ports], under_load: bool = True) -> list[dict]:
    """Test the server of each part of a release. Return one proof for each part, in their order.

    A part is one model on one target. A proof is {"smoke_test", "verified"}: the results of `smoke_test` and of
    `Platform.verify_runtime`. With `under_load`, it also has "canary", the latency under a short load, as
    `latency_check.canary` returns. `reached` is {target: ports of its server}. Raises SlipwayError with the model and
    the target if a server's answer is wrong, or slower than its load test allows.
    """
    proofs = []
    for part in release.parts:
        ports = reached[part.target]
        try:
            with ModelClient(ports, part.name) as client:
                tested = smoke_test(client, part.expected)
            proofs.append({"smoke_test": tested, "verified": platform.verify_runtime(part, tested["server_version"])})
            if under_load:
                promise = part.index_content["promise"]
                limits = promise["in_flight"], promise["p99_limit_ms"]
                proofs[-1]["canary"] = canary(ports, part.name, part.expected.request, *limits)
        except (SlipwayError, OSError) as error:
            raise SlipwayError(f"{part.model} on {part.target}: {error}") from None
    return proofs


def receipts_of(platform: Platform, release: Release, proofs: list[dict], **facts: object) -> dict[str, dict]:
    """Return {model: receipt} of a live release. A receipt is the record of a model's deployment.

    It has "model", "to", "served_as" (name on the server), "number" (stored version), "deployed_at", "place",
    "contents", the entries of `facts`, and "targets". "targets" is {target: {"chain": the SHA-256 from the weights to
    the repository, "image", ..., and the part's entry of `proofs`}}. `proofs` is the result of `prove`.
    """
    facts |= {"place": platform.place(), "contents": platform.contents(release)}
    receipts: dict[str, dict] = {}
    for part, proof in zip(release.parts, proofs, strict=True):
        receipt = receipts.setdefault(part.model, _receipt(release, part) | facts)
        receipt["targets"][part.target] = _of_target(part) | proof
    return receipts


def _receipt(release: Release, part: Part) -> dict:
    """Return the entries of a model's receipt that do not depend on the target; "targets" is still {}.

    `part` is any part of the model in the release.
    """
    return {
        "origin": part.index_content["origin"],
        "model": part.model,
        "to": release.to,
        "served_as": part.name,
        "number": part.number,
        "deployed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "slipway": slipway_version(),
        "targets": {},
    }


def _of_target(part: Part) -> dict:
    """Return the entries of a receipt for one target, without its proof: the served files and their origin."""
    index = part.index_content
    return {
        "version": part.version,
        "chain": {**index["chain"], "repository_index_sha256": part.index_sha256},
        "served_files": index["files"],
        "engine_key": index["engine_key"],
        "image": part.values.get("image"),
        "repository": part.values.get("repository_path"),
        "proven_on_labels": index["proven_on_labels"],
    }
