"""Show this run beside the last run that was live: each figure, its change, and whether the change is noise or allowed.

The exit code is 1 if a change breaks a limit of `regression`, even if the measurement was disturbed and proves nothing.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.setting_options import add_settings
from slipway.deploy.platforms import PLATFORMS
from slipway.history.compared_run import ComparedRun, last_live, named
from slipway.history.comparison import REGRESSION, UNDECIDED, Change, compare, compare_others
from slipway.history.file import NAME, History, read
from slipway.history.guard import COPY, LIMITS, this_run
from slipway.history.lines import Run
from slipway.history.words import comparison_in_words


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--results", type=Path, nargs="*", help="folders of the models' results; left out, all")
    arguments.add_argument("--to", choices=list(PLATFORMS), default="local", help="platform on which a run was live")
    arguments.add_argument("--run", help="run to compare with: its name, such as r0123456789ab, or its number")
    add_settings(arguments, "regression", *LIMITS)
    arguments.add_argument("--accept", nargs="*", default=[], help="runs whose regression is accepted, by name")
    arguments.add_argument("--json", action="store_true", help="print JSON")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Compare and print the run of each model. Raise SlipwayError on a regression that is not accepted."""
    folders = arguments.results or sorted(path.parent for path in Path("results").glob(f"*/{COPY}"))
    if not folders:
        raise SlipwayError(f"no results/*/{COPY} is here; `snakemake --cores 1 compare` measures, and compares")
    compared = [comparison for folder in folders for comparison in compared_of(folder, arguments)]
    if arguments.json:
        print(json.dumps(compared, indent=2), file=sys.__stdout__)
    refused = [one for one in compared if one["verdict"] in (REGRESSION, UNDECIDED) and not one["accepted"]]
    if refused:
        worst = " and ".join(f"{one['model']} on {one['target']} ({one['verdict']})" for one in refused)
        raise SlipwayError(
            f"worse than `regression` in config.yaml allows: {worst}; `regression: {{accept: "
            f"[{', '.join(sorted({one['run'] for one in refused}))}]}}` accepts it"
        )


def compared_of(folder: Path, arguments: argparse.Namespace) -> list[dict]:
    """Compare one model's run on each of its targets; print the tables without --json. Return the comparisons.

    A comparison is a dict of `as_json`, with "accepted": whether --accept names the run. `folder` has the model's
    results.
    """
    history, now = read(folder / NAME), this_run(folder)
    for sentence in history.damaged:
        progress(f"CAUTION: {sentence}")
    limits = {name: getattr(arguments, name) for name in LIMITS}
    comparisons = []
    for target in now.targets:
        compared = compared_run_of(history, now, target, arguments)
        changes = compare(compared.run, now, limits, target) if compared.run else []
        others = compare_others(compared.run, now, target) if compared.run else {}
        if not arguments.json:
            for line in comparison_in_words(now, target, compared, {"": changes, **others}):
                progress(line)
        comparisons.append(as_json(now, target, compared, changes, others) | {"accepted": now.name in arguments.accept})
    return comparisons


def compared_run_of(history: History, now: Run, target: str, arguments: argparse.Namespace) -> ComparedRun:
    """Return the run to compare with on a target: the run that --run names, or the last live run.

    If there is none, or if it was not measured on the target, `run` of the result is None, and `why_not` has the
    reason.
    """
    if arguments.run is None:
        return last_live(history, now, arguments.to, target)
    other = named(history, arguments.run)
    if target not in other.targets:
        return ComparedRun(None, why_not=f"{other.name} was not measured on {target}")
    return ComparedRun(other)


def as_json(
    now: Run, target: str, compared: ComparedRun, changes: list[Change], others: dict[str, list[Change]]
) -> dict:
    """Return the comparison on one target as a dictionary for JSON.

    It has "model", "target", "run" (the name of the run `now`), "compared_with" (the name of the other run, or None,
    and then "why_not" has the reason), "verdict", "served" (the rows of `changes`) and "others" (the rows of `others`,
    with the same keys; see `rows_as_json` for a row). The verdict is the worst of `changes`, "passed", or "not
    compared".
    """
    verdicts = [change.verdict for change in changes]
    worst = next((verdict for verdict in (REGRESSION, UNDECIDED) if verdict in verdicts), "passed")
    return {
        "model": now.content["model"],
        "target": target,
        "run": now.name,
        "compared_with": compared.run and compared.run.name,
        "why_not": compared.why_not or None,
        "verdict": worst if compared.run else "not compared",
        "served": rows_as_json(changes),
        "others": {name: rows_as_json(rows) for name, rows in others.items()},
    }


def rows_as_json(changes: list[Change]) -> list[dict]:
    """Return the changes of figures as dictionaries for JSON, with the fields of `Change` except the target."""
    return [{name: value for name, value in asdict(change).items() if name != "target"} for change in changes]


if __name__ == "__main__":
    run(main, parse_arguments())
