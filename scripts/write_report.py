"""Write the report page with all measurements of a model: accuracy, speed, load, and the reasons of the choice."""

import argparse

from slipway.core.cli import parser, progress, run
from slipway.report.measurements import add_measurements
from slipway.report.page import write_page
from slipway.report.recipe import Recipe


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, output="page to write (.html)")
    add_measurements(arguments)
    arguments.add_argument("--variants", nargs="+", required=True, help="ONNX variants to show, such as fp32 fp16")
    arguments.add_argument("--edition", type=int, default=1, help="number of the page, the next one of a new history")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the records, and write the report page. The same records give the same bytes."""
    recipe = Recipe(arguments.engines, arguments.variants, arguments.evaluated, arguments.edition)
    write_page(arguments.folder, arguments.output, recipe)
    progress(f"  {arguments.output}, of {len(arguments.engines)} engine(s)")


if __name__ == "__main__":
    run(main, parse_arguments())
