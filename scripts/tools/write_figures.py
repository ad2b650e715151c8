"""Write the figures of the records in docs/measurements into the tables of its README.md, and of the first page.

The rows of the H100 keep their words, which are written by hand. The other tables are written anew.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import atomic_write, read_json
from slipway.core.cli import parser, run
from slipway.core.errors import SlipwayError
from slipway.tools import figures
from slipway.tools.figures import Row
from slipway.tools.snakemake_runs import REPOSITORY

MEASUREMENTS = REPOSITORY / "docs" / "measurements"
# The marks around a table that is written anew, with the name of its hardware.
BEGIN, END = "<!-- begin {}: `make figures` writes this from the records -->", "<!-- end {} -->"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    return parser(__doc__).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write both pages."""
    rows = figures.on_a_gpu(MEASUREMENTS)
    for path, tables in ((MEASUREMENTS / "README.md", tables_of(MEASUREMENTS)), (REPOSITORY / "README.md", {})):
        with atomic_write(path) as partial:
            partial.write_text(page(path.read_text(encoding="utf-8"), rows, tables), encoding="utf-8")


def page(text: str, rows: Sequence[Row], tables: Mapping[str, str]) -> str:
    """Return a page with current figures in the rows that begin with the words of `rows`.

    `tables` is {name of the marks: the text between them}. Raises SlipwayError if marks are missing.
    """
    for name, table in tables.items():
        marks = BEGIN.format(name), END.format(name)
        before, begin, rest = text.partition(marks[0])
        _, end, after = rest.partition(marks[1])
        if not (begin and end):
            raise SlipwayError(f"docs/measurements/README.md has no lines {' and '.join(marks)}; put them back")
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return "\n".join(updated(line, rows) for line in text.split("\n"))


def updated(line: str, rows: Sequence[Row]) -> str:
    """Return a line of a page, with its current figures if it is one of the rows."""
    for words, values in rows:
        if line.startswith(f"| {words}"):
            return f"{line.rsplit('|', 2)[0]}| {values} |"
    return line


def tables_of(folder: Path) -> dict[str, str]:
    """Return {name of the marks: text} of the tables that are written anew, from the records in `folder`."""
    gpu = read_json(folder / figures.H200)["benchmark"]
    models = read_json(folder / "cpu.json")["models"]
    record = "([`resnet50.int8.json`](h200/resnet50.int8.json), written by `make measure-gpu`):"
    on_h200 = [f"{figures.h200_in_words(folder)} {record}", *table(figures.on_an_h200(folder))]
    on_cpu = [f"{figures.machine_in_words(folder)} ([`cpu.json`](cpu.json), written by `make measure`):"]
    on_cpu += table(figures.on_a_cpu(folder))
    of_models = {figures.NAMES[name]: each["benchmark"] for name, each in models.items()}
    return {
        "H200": "\n".join([*on_h200, *disturbed({"ResNet-50": gpu})]),
        "CPU": "\n".join([*on_cpu, *disturbed(of_models)]),
    }


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table, with an empty line before it."""
    return ["", "| | |", "| --- | --- |", *(f"| {words} | {values} |" for words, values in rows)]


def disturbed(benchmarks: dict[str, dict]) -> list[str]:
    """Return the lines about disturbed figures after a table; none without any."""
    words = figures.disturbed_in_words(benchmarks)
    return ["", words] if words else []


if __name__ == "__main__":
    run(main, parse_arguments())
