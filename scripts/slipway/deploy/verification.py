"""The proof of a deployment: smoke test and latency check of each part, the receipts, and the summary."""

import datetime

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.version import slipway_version
from slipway.deploy.platform import Platform
from slipway.deploy.release import Part, Release
from slipway.load_test.latency_check import canary
from slipway.outputs.meaning import Meaning
from slipway.outputs.presentation import SAMPLE, lines_of, prefixed
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.client.smoke_test import smoke_test
from slipway.triton.server import releases


def prove(platform: Platform, release: Release, reached: dict[str, Ports], under_load: bool = True) -> list[dict]:
    """Return the proof of each part: {"smoke_test", "verified", "canary": only if `under_load`}.

    `reached` is {target: ports}. Raises SlipwayError with the part's name if a server's answer is wrong, or slower than
    the promised latency.
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
    """Return {model: receipt} of a live release: the chain from weights to platform, the proofs, `facts`."""
    facts |= {"place": platform.place(), "contents": platform.contents(release)}
    receipts: dict[str, dict] = {}
    for part, proof in zip(release.parts, proofs, strict=True):
        receipt = receipts.setdefault(part.model, _receipt(release, part) | facts)
        receipt["targets"][part.target] = _of_target(part) | proof
    return receipts


def announce(receipts: dict[str, dict], options: str = "") -> None:
    """Print the live models' answers, their addresses, and the commands that stop and show them.

    `options` are the snakemake options of these commands.
    """
    lines: list[str] = []
    ends: dict[str, None] = {}  # without duplicates
    for receipt in receipts.values():
        for target, entry in receipt["targets"].items():
            lines += _answer(receipt, target, entry)
            ends |= dict.fromkeys(_address(receipt, entry["smoke_test"]["server_version"]))
    stop, look = (f"snakemake --cores 1 {target} {options}".rstrip() for target in ("undeploy", "status"))
    lines += [*ends, f"look at it with: {look}", f"stop it with: {stop}"]
    progress("\n".join(f"  {line}" for line in ["", *lines, ""]))


def _address(receipt: dict, server_version: str) -> list[str]:
    """Return lines: where a model is live, and the known vulnerabilities of its server."""
    place = ", ".join(f"{name} {value}" for name, value in receipt["place"].items() if value)
    live = f"{receipt['served_as']} is live on {receipt['to']} ({place})"
    address = receipt["contents"].get("address")
    release = releases.release_with("server", server_version)
    name = f"{release.triton} (server {server_version})" if release else server_version
    return [f"Triton {name} listens on {address}" if address else live, *releases.cautions(server_version)]


def _receipt(release: Release, part: Part) -> dict:
    """Return the entries of a model's receipt that all its targets share."""
    return {
        "origin": part.index_content["origin"],
        "model": part.model,
        "to": release.to,
        "served_as": part.name,
        "number": part.number,
        "deployed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "identity": release.of_model(part.model).identity,
        "slipway": slipway_version(),
        "targets": {},
    }


def _of_target(part: Part) -> dict:
    """Return a target's entries in the receipt, without the proofs."""
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


def _answer(receipt: dict, target: str, entry: dict) -> list[str]:
    """Return the lines about one target's answer to the sample, and the cautions for its user."""
    tested, verified = entry["smoke_test"], entry["verified"]
    load = f", p99 {entry['canary']['p99_ms']:.0f} ms, measured from this machine" if "canary" in entry else ""
    lines = prefixed({name: _output(output) for name, output in tested["outputs"].items()})
    if tested.get("weakness"):
        lines.append(f"CAUTION: {tested['weakness']}")
    if not verified["runtime"]:
        lines.append(f"not verified: the version that runs the engine ({verified['source']})")
    if receipt["origin"] == "rehearsal":
        lines.append("REHEARSAL: random weights, so these predictions mean nothing")
        lines.append("a model whose pretrained weights are in a Python package: make demo")
    lines.append(f"{target}: version {receipt['number']} ({entry['version']}){load}")
    sample = tested.get("sample", SAMPLE)
    first = f"{receipt['served_as']} answers {sample} in {tested['latency_ms']:.1f} ms (median):"
    return [first, *(f"    {line}" for line in lines)]


def _output(output: dict) -> list[str]:
    """Return the lines about one output's values; if no meaning was found for it, a line says why."""
    meaning = Meaning.of(output["output"])
    unclear = meaning.reason and not (meaning.has_classes or meaning.is_stated)
    return [*lines_of(output), *([f"its outputs are {meaning.in_words}: {meaning.reason}"] if unclear else [])]
