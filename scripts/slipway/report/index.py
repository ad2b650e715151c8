"""Write the index of all models, with their live versions and the figures that decide."""

from collections.abc import Sequence
from pathlib import Path

from slipway.core.artifacts import write_text
from slipway.core.errors import SlipwayError
from slipway.report import headline
from slipway.report.measurements import Measurements, Target
from slipway.report.page import environment, in_order, measurements_of
from slipway.report.recipe import element, pages_of_index, recipe_of

COLUMNS = [
    *("model", "target", "engine", "median latency", "answers/s", "p99 under load", "size", "accuracy"),
    *("beside the model itself", "live"),
]


def render_index(models: dict[str, Measurements]) -> str:
    """Return the page as self-contained HTML, for {name of the folder with a model's page: its measurements}."""
    rows = [
        (folder, cells_of(target, measurements))
        for folder, measurements in models.items()
        for target in in_order(measurements)
    ]
    template = environment().get_template("index.html.j2")
    return template.render(models=models, rows=rows, columns=COLUMNS, recipe=element({"models": list(models)}))


def cells_of(target: Target, measurements: Measurements) -> list[str]:
    """Return a target's cells below COLUMNS after the model: the chosen engine, its figures, and whether it is live."""
    *others, accuracy = headline.figures(target, measurements)
    (_, speed), *_, (_, live) = headline.verdict(target, measurements)
    figures = [f"{figure.value}{' ~' if figure.disturbed else ''}" for figure in others]
    return [target.name, target.chosen.precision, *figures, f"{accuracy.value} {accuracy.name}", speed, live]


def write_index(output: Path, pages: Sequence[Path]) -> None:
    """Write the index of these pages. Raise SlipwayError if a page is missing or of an earlier version of Slipway."""
    recipes = {page: recipe for page in pages if (recipe := recipe_of(page))}
    if unknown := [str(page) for page in pages if page not in recipes]:
        raise SlipwayError(
            f"{', '.join(unknown)} is missing or of an earlier version of Slipway; run snakemake evidence"
        )
    models = {page.parent.name: measurements_of(page.parent, recipe) for page, recipe in recipes.items()}
    write_text(output, render_index(models))


def rewrite_index(index: Path) -> None:
    """Update an existing index, for the same models."""
    if models := pages_of_index(index):
        write_index(index, [index.with_name(model) / "report.html" for model in models])
