"""Write the index of all models: what is live, and the figures that decide."""

from collections.abc import Sequence
from pathlib import Path

from slipway.core.artifacts import write_text
from slipway.core.errors import SlipwayError
from slipway.report import headline
from slipway.report.liveness import liveness
from slipway.report.measurements import Measurements
from slipway.report.page import environment, in_order
from slipway.report.recipe import element, pages_of_index, recipe_of
from slipway.report.writing import evidence_of


def render_index(shown: Sequence[Measurements], models: list[str]) -> str:
    """Return the page as self-contained HTML; `models` are the names of the folders with the pages."""
    entries = [
        {
            "evidence": evidence,
            "folder": folder,
            "targets": [
                {
                    "target": target,
                    "verdict": headline.verdict(target, evidence),
                    "figures": headline.figures(target, evidence),
                    "live": liveness(target, evidence.history),
                }
                for target in in_order(evidence)
            ],
        }
        for evidence, folder in zip(shown, models, strict=True)
    ]
    return environment().get_template("index.html.j2").render(entries=entries, recipe=element({"models": models}))


def write_index(output: Path, pages: Sequence[Path]) -> None:
    """Write the index of these pages. Raise SlipwayError if a page is missing or of an earlier version of Slipway."""
    recipes = {page: recipe_of(page) for page in pages}
    if unknown := [str(page) for page, recipe in recipes.items() if recipe is None]:
        raise SlipwayError(
            f"{', '.join(unknown)} is missing or of an earlier version of Slipway; run snakemake evidence"
        )
    shown = [evidence_of(page.parent, recipe) for page, recipe in recipes.items()]
    write_text(output, render_index(shown, [page.parent.name for page in pages]))


def rewrite_index(index: Path) -> None:
    """Write an existing index anew, of the same models."""
    if models := pages_of_index(index):
        write_index(index, [index.with_name(model) / "report.html" for model in models])
