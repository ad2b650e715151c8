"""Write the figures of the records in docs/measurements into the tables of its README.md, and of the first page.

The rows of GPUs keep their words, which are written by hand. The table of the CPU is written anew.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import atomic_write
from slipway.core.cli import parser, run
from slipway.core.errors import SlipwayError
from slipway.tools import figures
from slipway.tools.figures import Row
from slipway.tools.snakemake_runs import REPOSITORY

MEASUREMENTS = REPOSITORY / "docs" / "measurements"
BEGIN, END = "<!-- begin: written by `make figures` from cpu.json and planning.json -->", "<!-- end -->"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    return parser(__doc__).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write both pages."""
    rows = gpu_rows()
    for path, cpu in ((MEASUREMENTS / "README.md", cpu_table()), (REPOSITORY / "README.md", None)):
        with atomic_write(path) as partial:
            partial.write_text(page(path.read_text(encoding="utf-8"), rows, cpu), encoding="utf-8")


def gpu_rows() -> list[Row]:
    """Return the rows of all GPUs."""
    return [*figures.on_a_gpu(MEASUREMENTS), *figures.in_rounds(MEASUREMENTS)]


def page(text: str, rows: Sequence[Row], cpu: str | None) -> str:
    """Return a page with current figures in the rows that begin with the words of `rows`.

    `cpu` is the text between the marks; None for a page without marks.
    """
    if cpu is not None:
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise SlipwayError(f"docs/measurements/README.md has no lines {BEGIN} and {END}; put them back")
        text = f"{before}{begin}\n{cpu}\n{end}{after}"
    return "\n".join(updated(line, rows) for line in text.split("\n"))


def updated(line: str, rows: Sequence[Row]) -> str:
    """Return a line of a page, with its current figures if it is one of the rows."""
    for words, values in rows:
        if line.startswith(f"| {words}"):
            return f"{line.rsplit('|', 2)[0]}| {values} |"
    return line


def cpu_table() -> str:
    """Return the part of the page about the CPU."""
    lines = [f"{figures.machine_in_words(MEASUREMENTS)} ([`cpu.json`](cpu.json), written by `make measure`):", ""]
    lines += [
        "| | |",
        "| --- | --- |",
        *(f"| {words} | {values} |" for words, values in figures.on_a_cpu(MEASUREMENTS)),
    ]
    disturbed = figures.disturbed_in_words(MEASUREMENTS)
    return "\n".join([*lines, *(["", disturbed] if disturbed else [])])


if __name__ == "__main__":
    run(main, parse_arguments())
