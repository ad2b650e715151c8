"""Show the live models in clusters and Compose, from their receipts and from the platforms themselves."""

from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.core.records import has_shape
from slipway.deploy.local.liveness import why_wrong
from slipway.deploy.platform import Platform, platform_at
from slipway.deploy.release import Release
from slipway.deploy.release_history import BEGUN, ReleaseHistory
from slipway.outputs.showing import in_words
from slipway.triton.client.grpc_client import ModelClient

SHOWN = 12  # characters of a SHA-256
DEADLINE_S = 10.0  # for the golden request, which may go through a tunnel
SHOWN_OF_RECEIPT = {
    **dict.fromkeys(("served_as", "to", "deployed_at"), str),
    "place": dict,
    "contents": dict,
    "identity": {"indexes": {str: str}},
    "targets": {str: {"chain": dict, "engine_key": dict, "smoke_test": dict, "canary": dict}},
}


def remote_receipts(folder: Path) -> list[dict]:
    """Return the receipts of remote platforms in a model's `deploy` folder, sorted by platform."""
    places = [path.name.split(".")[1] for path in sorted(folder.glob("receipt.*.json"))]
    return list(filter(None, (ReleaseHistory(folder.parent, to).live() for to in places)))


def describe_remote(receipt: dict, results: Path) -> list[str]:
    """Return the lines about one receipt: its content, and the present state of its platform."""
    history = ReleaseHistory(results, receipt["to"])
    if not has_shape(receipt, SHOWN_OF_RECEIPT):
        damaged = f"{results.name}: its receipt {history.receipt_file} is damaged"
        return [f"{damaged}; `snakemake --cores 1 deploy` writes it again"]
    place = ", ".join(f"{name} {value}" for name, value in receipt["place"].items() if value)
    answers, now = _now(receipt, history)
    return [
        f"{receipt['served_as']}: {answers}; live on {receipt['to']} since {receipt['deployed_at']} ({place})",
        *(line for target, proof in receipt["targets"].items() for line in _target(target, proof)),
        *now,
        *_cautions(receipt, history, results),
    ]


def _target(target: str, proof: dict) -> list[str]:
    chain, key, tested = proof["chain"], proof["engine_key"], proof["smoke_test"]
    return [
        f"  {target:<10} version {proof['version']}, weights {chain['weights_sha256'][:SHOWN]}, {key['runtime']} "
        f"{key['runtime_version']}, {key['precision']}; {proof['image']}",
        f"             outputs {'; '.join(in_words(proof.get('output'), tested))}",
        f"             proven at {tested['latency_ms']:.1f} ms (median), p99 {proof['canary']['p99_ms']:.0f} ms of "
        f"{proof['canary']['limit_ms']:g} ms",
    ]


def _now(receipt: dict, history: ReleaseHistory) -> tuple[str, list[str]]:
    """Return whether the model answers, and the state that the platform reports."""
    try:
        platform = platform_at(receipt["to"], receipt["place"], history.folder)
        described = platform.describe(receipt["contents"])
    except SlipwayError as error:
        return "whether it answers is not known", [f"  UNKNOWN    {error}"]
    why = _why_no_answer(platform, history.version(receipt["number"]))
    return f"does not answer, because {why}" if why else "answers", described


def _why_no_answer(platform: Platform, release: Release | None) -> str | None:
    """Return why a target does not answer the golden request with the golden answer; None if all do."""
    if release is None:
        return "its version, with the golden request, is not kept here"
    try:
        with platform.reach(release) as reached:
            for part in release.parts:
                expected = part.expected(release.golden)
                with ModelClient(reached[part.target], expected.name, DEADLINE_S) as client:
                    client.require_ready()
                    why = why_wrong(client.infer(expected.golden_input).logits, expected)
                if why:
                    return f"on {part.target}, {why}"
    except (SlipwayError, OSError) as error:
        return str(error)
    return None


def _cautions(receipt: dict, history: ReleaseHistory, results: Path) -> list[str]:
    """Return the cautions for a user of the live version."""
    lines = []
    if "rolled_back_from" in receipt:
        lines.append(f"  BACK       version {receipt['rolled_back_from']} was rolled back; this is {receipt['number']}")
    if history.begun():
        lines.append(
            f"  UNFINISHED a deployment was killed ({history.folder / BEGUN}); snakemake deploy goes on from there"
        )
    indexes = {target: results / target / "repository.json" for target in receipt["targets"]}
    served = receipt["identity"]["indexes"]
    if any(path.is_file() and sha256(path) != served[target] for target, path in indexes.items()):
        lines.append(f"  STALE      {results} holds another version than the one that is served; run snakemake deploy")
    return lines
