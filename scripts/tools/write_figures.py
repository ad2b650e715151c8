"""Write the figures of the records in docs/measurements into its README.md, and some into the project's README.md.

measurement_figures.md.j2 is the template of the tables.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import atomic_write, read_json
from slipway.core.cli import parser, run
from slipway.core.errors import SlipwayError
from slipway.core.templates import document
from slipway.tools.snakemake_runs import REPOSITORY

MEASUREMENTS = REPOSITORY / "docs" / "measurements"
# The lines before and after the tables in docs/measurements/README.md. The text between them is replaced.
BEGIN, END = "<!-- begin figures: `make figures` writes this from the records -->", "<!-- end figures -->"
# {key of a model in cpu.json: name of the model for readers}
NAMES = {"resnet50": "ResNet-50", "efficientnet_lite0": "EfficientNet-Lite0"}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    return parser(__doc__).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write the tables into docs/measurements/README.md. Update the rows of these tables in the project's README.md."""
    tables = tables_of(records())
    for path, written in ((MEASUREMENTS / "README.md", between_marks), (REPOSITORY / "README.md", with_rows)):
        with atomic_write(path) as partial:
            partial.write_text(written(path.read_text(encoding="utf-8"), tables), encoding="utf-8")


def records() -> dict:
    """Return the JSON records in docs/measurements: {"h100", "h200": {name of the file: record}, "cpu", "planning"}.

    The values of "cpu" and "planning" are one record each.
    """
    gpus = {
        gpu: {path.stem: read_json(path) for path in (MEASUREMENTS / gpu).glob("*.json")} for gpu in ("h100", "h200")
    }
    return gpus | {name: read_json(MEASUREMENTS / f"{name}.json") for name in ("cpu", "planning")}


def tables_of(records: dict) -> str:
    """Return the tables of measured figures as Markdown. `records` is the result of the function `records`.

    Above each table are its conditions, below it the measurements that other work disturbed.
    """
    filters: dict[str, Any] = {"listed": listed, "of_each": of_each, "fastest": fastest, "median": median}
    template = Path(__file__).with_name("measurement_figures.md.j2")
    return document(template, records | {"names": NAMES}, **filters).strip()


def between_marks(page: str, tables: str) -> str:
    """Return the Markdown page with `tables` in place of the text between the lines BEGIN and END.

    Raises SlipwayError if these lines are missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SlipwayError(f"docs/measurements/README.md has no lines {BEGIN} and {END}; put them back")
    return f"{before}{begin}\n{tables}\n{end}{after}"


def with_rows(page: str, tables: str) -> str:
    """Return the Markdown page with newer figures in its tables, from `tables`.

    If a row of `tables` has the same cells as a row of the page, except the last cell, it replaces the row of the page.
    All other lines stay unchanged.
    """
    rows = {line.rsplit("|", 2)[0]: line for line in tables.splitlines() if line.startswith("| ")}
    return "\n".join(rows.get(line.rsplit("|", 2)[0], line) for line in page.split("\n"))


def listed(values: Iterable[float], form: str, unit: str = "") -> str:
    """Return numbers as text, separated by commas. `form` is Python's format of each, such as ".1f"; `unit` follows."""
    return ", ".join(f"{value:{form}}{unit}" for value in values)


def of_each(records: dict, names: Sequence[str], figure: str = "") -> list:
    """Return a list with one figure of each record in `names`, in this order.

    `records` is {name: record}. `figure` is a dotted path in the record, such as "p50.gpu"; "" is the whole record.
    """
    values = [records[name] for name in names]
    for part in filter(None, figure.split(".")):
        values = [value[part] for value in values]
    return values


def fastest(rows: Iterable[dict], precisions: Sequence[str]) -> list[dict]:
    """Return the row with the highest throughput of each precision, in the order of `precisions`.

    `rows` are the measured points of a load test, with "precision" and "throughput_per_s". A precision without a row is
    left out.
    """
    best: dict[str, dict] = {}
    for row in sorted(rows, key=lambda row: row["throughput_per_s"]):
        best[row["precision"]] = row
    return [best[name] for name in precisions if name in best]


if __name__ == "__main__":
    run(main, parse_arguments())
