"""Record a run that measured a model: a line of its history, with the figures that matter, and a copy of this line.

The history is no output of this job: Snakemake never removes it, and no rebuild loses a line.
"""

import argparse
from pathlib import Path

from slipway.core.artifacts import write_json
from slipway.core.cli import parser, progress, run
from slipway.core.clock import utc_now
from slipway.history.file import append, read
from slipway.history.recording import line_of
from slipway.report.measurements import add_measurements, read_measurements


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, output="copy of the line (.json)")
    arguments.add_argument("--history", type=Path, required=True, help="the model's history (.jsonl)")
    add_measurements(arguments)
    arguments.add_argument("--recording", type=int, default=1, help="another number records a lost line again")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Append the run's line, unless the history has the line already, and write a copy of the line."""
    measurements = read_measurements(arguments.folder, arguments.engines, [], arguments.evaluated)
    line = line_of(measurements, arguments.folder, utc_now().replace("+00:00", "Z"))
    how = "recorded" if append(arguments.history, line) else "recorded before"
    recorded = next(run for run in read(arguments.history).runs if run.key == line["key"])
    origin = measurements.weights["origin"]
    write_json(arguments.output, {"origin": origin, "recording": arguments.recording, "line": recorded.content})
    chosen = ", ".join(f"{target} {facts['selection']['precision']}" for target, facts in recorded.targets.items())
    progress(f"  run {recorded.name} of {recorded.when} ({chosen}): {how} in {arguments.history}")


if __name__ == "__main__":
    run(main, parse_arguments())
