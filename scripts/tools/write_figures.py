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
    """Return {GPU: {name: record}} of docs/measurements/<GPU>/, and the records "cpu" and "planning"."""
    gpus = {
        gpu: {path.stem: read_json(path) for path in (MEASUREMENTS / gpu).glob("*.json")} for gpu in ("h100", "h200")
    }
    return gpus | {name: read_json(MEASUREMENTS / f"{name}.json") for name in ("cpu", "planning")}


def tables_of(records: dict) -> str:
    """Return the tables as Markdown. Above each table are its conditions, below it its disturbed measurements."""
    filters: dict[str, Any] = {"listed": listed, "of_each": of_each, "fastest": fastest, "median": median}
    template = Path(__file__).with_name("measurement_figures.md.j2")
    return document(template, records | {"names": NAMES}, **filters).strip()


def between_marks(page: str, tables: str) -> str:
    """Return the page with `tables` between the lines BEGIN and END. Raise SlipwayError if these lines are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SlipwayError(f"docs/measurements/README.md has no lines {BEGIN} and {END}; put them back")
    return f"{before}{begin}\n{tables}\n{end}{after}"


def with_rows(page: str, tables: str) -> str:
    """Return the page with updated table rows.

    A row is replaced by the row of `tables` with the same cells, except the last cell. Other rows stay unchanged.
    """
    rows = {line.rsplit("|", 2)[0]: line for line in tables.splitlines() if line.startswith("| ")}
    return "\n".join(rows.get(line.rsplit("|", 2)[0], line) for line in page.split("\n"))


def listed(values: Iterable[float], form: str, unit: str = "") -> str:
    """Return figures as text, separated by commas. Each has the format `form`, and `unit` follows it."""
    return ", ".join(f"{value:{form}}{unit}" for value in values)


def of_each(records: dict, names: Sequence[str], figure: str = "") -> list:
    """Return [figure of the record] for each name. `figure` is a dotted path in the record; "" is the whole record."""
    values = [records[name] for name in names]
    for part in filter(None, figure.split(".")):
        values = [value[part] for value in values]
    return values


def fastest(rows: Iterable[dict], precisions: Sequence[str]) -> list[dict]:
    """Return, for each precision that the load test measured, the row with the highest throughput."""
    best: dict[str, dict] = {}
    for row in sorted(rows, key=lambda row: row["throughput_per_s"]):
        best[row["precision"]] = row
    return [best[name] for name in precisions if name in best]


if __name__ == "__main__":
    run(main, parse_arguments())
