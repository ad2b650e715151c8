"""Record a run that measured a model: a line of its history, with the figures that matter, and a copy of this line.

The history is no output of this job: Snakemake never removes it, and no rebuild loses a line.
"""

import argparse
from pathlib import Path

from slipway.core.artifacts import write_json
from slipway.core.cli import parser, progress, run
from slipway.history.file import append, read
from slipway.history.lines import Run, now
from slipway.history.recording import line_of
from slipway.report.measurements import read_evidence


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, folder="results/<model>, which has the records", output="copy of the line (.json)")
    arguments.add_argument("--history", type=Path, required=True, help="the model's history (.jsonl)")
    arguments.add_argument("--engines", nargs="+", required=True, help="measured engines, as TARGET/PRECISION")
    arguments.add_argument(
        "--evaluated",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="whether the checkpoint was evaluated (accuracy.json)",
    )
    arguments.add_argument("--recording", type=int, default=1, help="another number records a lost line again")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Append the run's line, unless the history has it, and write its copy."""
    evidence = read_evidence(arguments.folder, arguments.engines, [], arguments.evaluated)
    line = line_of(evidence, arguments.folder, now())
    is_new = append(arguments.history, line)
    recorded = next(run for run in read(arguments.history).runs if run.key == line["key"])
    origin = evidence.weights["origin"]
    write_json(arguments.output, {"origin": origin, "recording": arguments.recording, "line": recorded.content})
    progress(f"  {said(recorded)}: {'recorded' if is_new else 'recorded before'} in {arguments.history}")


def said(recorded: Run) -> str:
    """Return a run in words."""
    chosen = ", ".join(f"{target} {facts['selection']['precision']}" for target, facts in recorded.targets.items())
    return f"run {recorded.name} of {recorded.when} ({chosen})"


if __name__ == "__main__":
    run(main, parse_arguments())
