"""Write the index page of all models, with their live versions and main figures."""

from collections.abc import Sequence
from pathlib import Path

from slipway.core.artifacts import write_text
from slipway.core.errors import SlipwayError
from slipway.report.page import environment, measurements_of
from slipway.report.recipe import element, pages_of_index, recipe_of


def write_index(output: Path, pages: Sequence[Path]) -> None:
    """Write the web page `output`, an index with a line for each model. `pages` are the models' report pages.

    Raises SlipwayError if a page is missing, or if an earlier version of Slipway wrote it.
    """
    recipes = {page: recipe for page in pages if (recipe := recipe_of(page))}
    if unknown := [str(page) for page in pages if page not in recipes]:
        raise SlipwayError(
            f"{', '.join(unknown)} is missing or of an earlier version of Slipway; run `snakemake --cores 1 evidence`"
        )
    models = {page.parent.name: measurements_of(page.parent, recipe) for page, recipe in recipes.items()}
    template = environment().get_template("index.html.j2")
    write_text(output, template.render(models=models, recipe=element({"models": list(models)})))


def rewrite_index(index: Path) -> None:
    """Write an existing index page again, for the models whose pages it links. Without the page, do nothing."""
    if models := pages_of_index(index):
        write_index(index, [index.with_name(model) / "report.html" for model in models])
