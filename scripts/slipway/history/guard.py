"""Refuse to deploy a model that became worse than the limits of `regression` in config.yaml allow.

The present run, the last measurement of the model, is compared with the run that was live last.
"""

import json
from pathlib import Path

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.records import require_record
from slipway.history.compared_run import last_live, live_version
from slipway.history.comparison import NOT_COMPARED, PASSED, REGRESSION, UNDECIDED, Change, compare
from slipway.history.file import NAME, History, read
from slipway.history.lines import Run
from slipway.history.words import sentence_of

# This module can refuse a deployment, but does not change it.
PART_OF_KEYS = False

LIMITS = ("latency", "p99", "throughput", "size", "memory", "top1", "agreement")
COPY = "run.json"


def this_run(folder: Path) -> Run:
    """Return the present run, from its copy run.json in `folder`, results/<model>.

    Raises SlipwayError if there is no valid copy.
    """
    written_by = f"`snakemake --cores 1 {folder / COPY}` writes it. Nothing was changed"
    return Run(require_record(folder / COPY, {"line": {"key": str, "targets": dict}}, written_by)["line"])


def require_no_regression(folder: Path, platform: str, versions: dict[str, str], regression: str) -> None:
    """Raise SlipwayError if the present run of a model is worse than the live run, and is not accepted.

    `folder` is results/<model>. `platform` is the value of `deploy.to`. `versions` are {target: version of the model
    repository to deploy}. `regression` is the section of config.yaml as JSON: its limits, and in "accept" the names of
    accepted runs. A target whose version is live already is not compared again.
    """
    settings = json.loads(regression)
    limits = {name: settings.get(name) for name in LIMITS}
    if all(limit is None for limit in limits.values()):
        return
    now, history = this_run(folder), read(folder / NAME)
    if history.damaged:
        raise SlipwayError(
            f"{history.damaged[0]}. It may hide a regression: correct this line, or remove it. Nothing was changed"
        )
    others = [target for target, version in versions.items() if live_version(history, platform, target) != version]
    changes = [change for target in others for change in changes_on(history, now, platform, target, limits)]
    judge(folder.name, now, changes, settings.get("accept", []))


def changes_on(history: History, now: Run, platform: str, target: str, limits: dict) -> list[Change]:
    """Return the changes of the figures on one target between the last live run and the present run `now`.

    `platform` is a value of `deploy.to`. `limits` are {figure: allowed change for the worse}. If no other run was live,
    print the reason and return [].
    """
    beside = last_live(history, now, platform, target)
    if beside.run is None:
        progress(f"  {now.content['model']} on {target}: no regression can be found, since {beside.why_not}")
        return []
    return compare(beside.run, now, limits, target)


def judge(model: str, now: Run, changes: list[Change], accepted: list[str]) -> None:
    """Raise SlipwayError with the regressions among `changes`, unless `accepted` has the name of the run `now`.

    Print the limits that could not be checked, and accepted regressions. `model` is the model's name.
    """
    for change in changes:
        unproven = change.verdict == NOT_COMPARED or (change.disturbed and change.verdict == PASSED)
        if change.limit is not None and unproven:
            progress(f"  CAUTION: {model} on {change.target}: {sentence_of(change)}")
    broken = [change for change in changes if change.verdict in (REGRESSION, UNDECIDED)]
    if not broken:
        return
    regressions = "; ".join(f"on {change.target}, {sentence_of(change)}" for change in broken)
    if now.name in accepted:
        progress(f"  CAUTION: {model} is worse than what was live, which `regression.accept` allows: {regressions}")
        return
    again = "measure again on a quiet machine (`snakemake --cores 1 deploy --forcerun benchmark load_test`), or "
    is_undecided = any(change.verdict == UNDECIDED for change in broken)
    raise SlipwayError(
        f"{model} is not deployed, since it is worse than what was live: {regressions}. Nothing was changed. "
        f"`snakemake --cores 1 compare` shows all figures. To deploy it all the same, {again if is_undecided else ''}"
        f"write `regression: {{accept: [{now.name}]}}` into config.yaml: that accepts this run, and no later one"
    )
