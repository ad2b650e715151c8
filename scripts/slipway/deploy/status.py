"""Show a live model from its receipt: its version, whether it answers, and the report of its platform."""

from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.core.records import read_record
from slipway.deploy.platform import Platform
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release_history import ReleaseHistory
from slipway.outputs.presentation import SAMPLE, in_words, prefixed

SHOWN = 12  # characters of a SHA-256
REMEDY = "`snakemake --cores 1 deploy` makes it answer again, without rebuilding"


def describe(
    platform: Platform, history: ReleaseHistory, receipt: dict, results: Path, is_configured: bool = True
) -> list[str]:
    """Return the lines about one receipt: its content, and the present state of its platform."""
    answers, report = _now(platform, history, receipt)
    since = f"{answers}; live on {receipt['to']} since {receipt['deployed_at']}"
    return [
        f"{receipt['served_as']}: {since}",
        *(f"  {name:<10} {value}" for name, value in receipt["place"].items() if value),
        *(line for target, entry in receipt["targets"].items() for line in _target(receipt, target, entry)),
        *report,
        *([f"  {REMEDY}"] if answers.startswith("does not") and is_configured else []),
        *_cautions(receipt, history, results, is_configured),
    ]


def _now(platform: Platform, history: ReleaseHistory, receipt: dict) -> tuple[str, list[str]]:
    """Return (text that says whether the model answers, the platform's lines on its state)."""
    try:
        described = platform.describe(receipt)
        why = platform.diagnose(receipt, history)
    except SlipwayError as error:
        return "whether it answers is not known", [f"  UNKNOWN    {error}"]
    return f"does not answer, because {why}" if why else "answers", described


def _target(receipt: dict, target: str, entry: dict) -> list[str]:
    """Return the lines about one target: its version, its engine, its answer, and its latency when it was proven."""
    chain, key = entry["chain"], entry["engine_key"]
    files = [f"{Path(name).suffix[1:]} {digest[:SHOWN]}" for name, digest in chain.get("engine_files", {}).items()]
    canary = entry.get("canary")
    return [
        f"  {target:<10} version {receipt['number']} ({entry['version']}), weights {chain['weights_sha256'][:SHOWN]} "
        f"({receipt['origin']})",
        f"  engine     {key['runtime']} {key['runtime_version']}, {key['precision']}: {', '.join(files)}",
        *([f"  image      {entry['image']}"] if entry.get("image") else []),
        *_outputs(entry),
        *([f"  proven     p99 {canary['p99_ms']:.0f} ms of {canary['limit_ms']:g} ms"] if canary else []),
    ]


def _outputs(entry: dict) -> list[str]:
    """Return the lines about the outputs of one target: their meanings, and their values in the proof."""
    tested = entry["smoke_test"]
    sample = tested.get("sample", SAMPLE)
    lines = prefixed({name: in_words(out.get("output"), out, sample) for name, out in tested["outputs"].items()})
    return [f"  {'outputs' if number == 0 else '':<10} {line}" for number, line in enumerate(lines)]


def _cautions(receipt: dict, history: ReleaseHistory, results: Path, is_configured: bool) -> list[str]:
    """Return the cautions for a user of the live version."""
    lines, rollout = [], history.pending()
    if receipt["origin"] == "rehearsal":
        lines.append("  REHEARSAL  random weights: its predictions mean nothing")
    if not is_configured:
        after = "takes it out of service" if PLATFORMS[receipt["to"]].together else "leaves it as it is"
        lines.append(f"  OTHER      not in this configuration, whose deployment {after}")
    elif "rolled_back_from" in receipt:
        lines += [
            f"  BACK       version {receipt['rolled_back_from']} was rolled back; this is {receipt['number']}",
            "             `snakemake deploy` serves what config.yaml says: put it right first",
        ]
    elif not is_newest(receipt, results):
        lines.append(f"  STALE      {results} holds another version than the one that is served; run snakemake deploy")
    if rollout:
        lines.append(f"  UNFINISHED {rollout} was killed; snakemake deploy goes on from there")
    return lines


def is_newest(receipt: dict, results: Path) -> bool:
    """Say whether the served version matches the model's results: the same weights, and each target's repository.

    Files that were removed from the results since then do not make it stale.
    """
    weights = read_record(results / "weights.json", {"sha256": str})
    chains = [entry["chain"] for entry in receipt["targets"].values()]
    if weights and any(weights["sha256"] != chain["weights_sha256"] for chain in chains):
        return False
    served = receipt["identity"]["indexes"]
    indexes = {target: results / target / "repository.json" for target in receipt["targets"]}
    return all(not path.is_file() or sha256(path) == served[target] for target, path in indexes.items())
