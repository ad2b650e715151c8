"""Write the report page of a model from its records, and write the page again when its history gets a line.

The recipe of a page has the options with which it was written. It is stored in the page.
"""

from dataclasses import replace
from pathlib import Path

import jinja2
import numpy as np
from tritonclient.utils import np_to_triton_dtype

from slipway.benchmark import comparison
from slipway.classification import report_photographs, reporting
from slipway.core.artifacts import write_text
from slipway.core.readable import readable
from slipway.history import file as history_file
from slipway.load_test import configurations, limits
from slipway.report import charts, drawing, formats, headline, load_test_charts, palette
from slipway.report.bar_charts import stacks
from slipway.report.measurements import Measurements, Target, read_measurements
from slipway.report.recipe import Recipe, recipe_of, state_of
from slipway.report.verdicts import YES, answers, is_it_live
from slipway.triton.repository.versions import served_name


def write_page(folder: Path, output: Path, recipe: Recipe) -> None:
    """Write the report page of `folder`, results/<model>, to `output`. `recipe` has the options (see `Recipe`).

    If a deployment appends to the history meanwhile, write the page again.
    """
    history, state = folder / history_file.NAME, None
    while state != (state := state_of(history)):
        write_text(output, render(measurements_of(folder, recipe), replace(recipe, history=state)))


def rewrite(page: Path) -> None:
    """Write an existing page again, with the options that it was written with: its recipe, which is stored in the page.

    A page without a recipe stays as it is.
    """
    if recipe := recipe_of(page):
        write_page(page.parent, page, recipe)


def measurements_of(folder: Path, recipe: Recipe) -> Measurements:
    """Return the records in `folder`, results/<model>, that a page with this recipe (its stored options) shows."""
    return read_measurements(folder, recipe.engines, recipe.variants, recipe.evaluated)


def environment() -> jinja2.Environment:
    """Return the Jinja environment for the report's templates, with the formats of measurements as filters.

    The templates escape text from records.
    """
    loader = jinja2.FileSystemLoader([Path(__file__).parent, reporting.FOLDER])
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {name: function for name, function in vars(formats).items() if callable(function)}
    environment.filters |= {"readable": readable, "triton_dtype": lambda name: np_to_triton_dtype(np.dtype(name))}
    environment.globals |= {"light": palette.LIGHT, "dark": palette.DARK, "looks": drawing.rules("var(--{})".format)}
    environment.globals |= {"tables": "tables.html.j2", "styles": "page.css.j2", "task": reporting}
    modules = (charts, comparison, configurations, headline, limits, load_test_charts)
    environment.globals |= {module.__name__.rpartition(".")[2]: module for module in modules}
    functions = (answers, in_order, samples_of, served_name, side_by_side, slipway_of, stacks)
    environment.globals |= {function.__name__: function for function in functions}
    return environment


def render(measurements: Measurements, recipe: Recipe) -> str:
    """Return the report page as self-contained HTML, with the recipe in it."""
    template = environment().get_template("page.html.j2")
    return template.render(measurements=measurements, recipe=recipe.markup(), targets=in_order(measurements))


def in_order(measurements: Measurements) -> list[Target]:
    """Return the targets: live targets first, otherwise in the order of config.yaml."""
    return sorted(measurements.targets, key=lambda target: is_it_live(target, measurements.history)[0] != YES)


def side_by_side(targets: list[Target], measurements: Measurements) -> list[tuple[str, list[str | None]]]:
    """Return the rows of a table that compares targets: (name of a figure, [its text, or None, on each target])."""
    columns: list[dict[str, str]] = [
        {
            "hardware": target.chosen.build["key"]["hardware"],
            "engine": target.chosen.precision,
            "beside the model itself": headline.speed(target)[1],
            **{figure.name: figure.value for figure in headline.figures(target, measurements)},
        }
        for target in targets
    ]
    names = dict.fromkeys(name for column in columns for name in column)
    live: list[str | None] = [is_it_live(target, measurements.history)[1] for target in targets]
    return [*((name, [column.get(name) for column in columns]) for name in names), ("live", live)]


def samples_of(target: Target, measurements: Measurements) -> list[report_photographs.Shown]:
    """Return the samples with the chosen engine's answers, as the page shows them for the model's task.

    Return [] if the task shows no samples, or if the reference samples are missing.
    """
    if measurements.samples is None or not measurements.is_classifier:
        return []
    facts = {**measurements.reference, **measurements.contract.facts}
    return report_photographs.shown(measurements.samples, target.chosen.accuracy, measurements.value_names, facts)


def slipway_of(target: Target, measurements: Measurements) -> str:
    """Return the version of Slipway that measured a target last; "" if the version is unknown."""
    versions = [run.content["slipway"] for run in measurements.history.runs if target.name in run.targets]
    return " ".join(filter(None, versions[-1].values())) if versions else ""
