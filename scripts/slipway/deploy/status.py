"""Show a live model from its receipt: its version, whether it answers, and the report of its platform."""

from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.core.records import read_record
from slipway.core.templates import document
from slipway.deploy.platform import Platform
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release_history import ReleaseHistory
from slipway.outputs.presentation import SAMPLE, in_words, prefixed

TEMPLATE = Path(__file__).with_name("status.txt.j2")
REMEDY = "`snakemake --cores 1 deploy` makes it answer again, without rebuilding"


def describe(
    platform: Platform, history: ReleaseHistory, receipt: dict, results: Path, is_configured: bool = True
) -> list[str]:
    """Return lines of text on one deployed model: its deployment, whether it answers now, and its platform's report.

    `receipt` is the record of the deployment, and `results` the model's folder results/<model>. If `is_configured` is
    false, a line says that config.yaml does not have the model.
    """
    answers, report = _now(platform, history, receipt)
    values = {
        "receipt": receipt,
        "answers": answers,
        "report": report,
        "results": results,
        "rollout": history.pending(),
    }
    facts = {"is_configured": is_configured, "is_newest": is_newest(receipt, results)}
    facts["is_together"] = PLATFORMS[receipt["to"]].together
    return document(TEMPLATE, {**values, **facts, "REMEDY": REMEDY, "outputs": _outputs}).splitlines()


def _now(platform: Platform, history: ReleaseHistory, receipt: dict) -> tuple[str, list[str]]:
    """Return (text that says whether a deployed model answers, lines of the platform's report on the model).

    `receipt` is the record of the deployment. If the platform cannot be reached, both say that the state is unknown.
    """
    try:
        described = platform.describe(receipt)
        why = platform.diagnose(receipt, history)
    except SlipwayError as error:
        return "whether it answers is not known", [f"  UNKNOWN    {error}"]
    return f"does not answer, because {why}" if why else "answers", described


def _outputs(tested: dict) -> list[str]:
    """Return lines of text on the meaning and the values of each output in the smoke test of a deployment.

    `tested` is the entry "smoke_test" of a receipt, as `smoke_test.smoke_test` returns it.
    """
    sample = tested.get("sample", SAMPLE)
    return prefixed({name: in_words(out.get("output"), out, sample) for name, out in tested["outputs"].items()})


def is_newest(receipt: dict, results: Path) -> bool:
    """Say whether a deployed version is the newest build of the model: the same weights, the same repositories.

    `receipt` is the record of the deployment, and `results` the folder results/<model>. Files that were removed from it
    since the deployment do not count as a difference.
    """
    weights = read_record(results / "weights.json", {"sha256": str})
    chains = [entry["chain"] for entry in receipt["targets"].values()]
    if weights and any(weights["sha256"] != chain["weights_sha256"] for chain in chains):
        return False
    served = {results / target / "repository.json": entry["chain"] for target, entry in receipt["targets"].items()}
    return all(not path.is_file() or sha256(path) == chain["repository_index_sha256"] for path, chain in served.items())
