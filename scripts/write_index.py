"""Write the index of all models: a page that links their reports, with the live versions and the main figures."""

import argparse

from slipway.core.cli import parser, progress, run
from slipway.report.index import write_index


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, folder="results, which has a folder of each model", output="page to write (.html)")
    arguments.add_argument("--models", nargs="+", required=True, help="models whose reports are linked")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the models' report pages, and write the index page with a line for each model."""
    write_index(arguments.output, [arguments.folder / model / "report.html" for model in arguments.models])
    progress(f"  {arguments.output}, of {len(arguments.models)} model(s)")


if __name__ == "__main__":
    run(main, parse_arguments())
