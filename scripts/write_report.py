"""Write the report page with all measurements of a model: accuracy, speed, load, and the reasons of the choice."""

import argparse

from slipway.core.artifacts import write_text
from slipway.core.cli import parser, progress, run
from slipway.report.measurements import read_evidence
from slipway.report.page import render


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, folder="results/<model>, which has the records", output="page to write (.html)")
    arguments.add_argument("--engines", nargs="+", required=True, help="engines to show, as TARGET/PRECISION")
    arguments.add_argument("--variants", nargs="+", required=True, help="ONNX variants to show, such as fp32 fp16")
    yes_or_no = {"action": argparse.BooleanOptionalAction, "default": False}
    arguments.add_argument("--evaluated", **yes_or_no, help="whether the checkpoint was evaluated (accuracy.json)")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the records and write the page. The same records give the same bytes."""
    evidence = read_evidence(arguments.folder, arguments.engines, arguments.variants, arguments.evaluated)
    write_text(arguments.output, render(evidence))
    progress(f"  {arguments.output}, of {len(arguments.engines)} engine(s)")


if __name__ == "__main__":
    run(main, parse_arguments())
