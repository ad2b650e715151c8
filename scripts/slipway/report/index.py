"""Write the index of all models, with their live versions and the figures that decide."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.core.artifacts import write_text
from slipway.core.errors import SlipwayError
from slipway.report import headline
from slipway.report.measurements import Measurements
from slipway.report.page import environment, evidence_of, in_order
from slipway.report.recipe import element, pages_of_index, recipe_of

COLUMNS = [
    *("model", "target", "engine", "median latency", "answers/s", "p99 under load", "size", "accuracy"),
    *("beside the model itself", "live"),
]


def render_index(shown: Sequence[Measurements], models: list[str]) -> str:
    """Return the page as self-contained HTML; `models` are the names of the folders with the pages."""
    entries: list[dict[str, Any]] = [
        {
            "evidence": evidence,
            "folder": folder,
            "targets": [
                {
                    "target": target,
                    "verdict": headline.verdict(target, evidence),
                    "figures": headline.figures(target, evidence),
                }
                for target in in_order(evidence)
            ],
        }
        for evidence, folder in zip(shown, models, strict=True)
    ]
    rows = [(entry["folder"], side_by_side(shown)) for entry in entries for shown in entry["targets"]]
    return (
        environment()
        .get_template("index.html.j2")
        .render(entries=entries, rows=rows, columns=COLUMNS, recipe=element({"models": models}))
    )


def side_by_side(shown: dict[str, Any]) -> list[str]:
    """Return a target's cells below COLUMNS after the model: the chosen engine, its figures, and whether it is live."""
    latency, *under_load, size, accuracy = shown["figures"]
    (_, speed), *_, (_, live) = shown["verdict"]
    figures = [f"{figure.value}{' ~' if figure.disturbed else ''}" for figure in (latency, *under_load, size)]
    target = shown["target"]
    return [target.name, target.chosen.precision, *figures, f"{accuracy.value} {accuracy.name}", speed, live]


def write_index(output: Path, pages: Sequence[Path]) -> None:
    """Write the index of these pages. Raise SlipwayError if a page is missing or of an earlier version of Slipway."""
    recipes = {page: recipe for page in pages if (recipe := recipe_of(page))}
    if unknown := [str(page) for page in pages if page not in recipes]:
        raise SlipwayError(
            f"{', '.join(unknown)} is missing or of an earlier version of Slipway; run snakemake evidence"
        )
    shown = [evidence_of(page.parent, recipe) for page, recipe in recipes.items()]
    write_text(output, render_index(shown, [page.parent.name for page in pages]))


def rewrite_index(index: Path) -> None:
    """Update an existing index, for the same models."""
    if models := pages_of_index(index):
        write_index(index, [index.with_name(model) / "report.html" for model in models])
