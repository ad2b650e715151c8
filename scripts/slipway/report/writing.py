"""Write the page of a model, and update it when its history has a new line."""

from dataclasses import replace
from pathlib import Path

from slipway.core.artifacts import write_text
from slipway.history import file as history_file
from slipway.report.measurements import Measurements, read_evidence
from slipway.report.page import render
from slipway.report.recipe import Recipe, recipe_of, state_of


def write_page(folder: Path, output: Path, recipe: Recipe) -> None:
    """Write the page of results/<model>. If a deployment appends to the history meanwhile, write it again."""
    history, state = folder / history_file.NAME, None
    while state != (state := state_of(history)):
        write_text(output, render(evidence_of(folder, recipe), replace(recipe, history=state)))


def rewrite(page: Path) -> None:
    """Update an existing page, for the same engines."""
    if recipe := recipe_of(page):
        write_page(page.parent, page, recipe)


def evidence_of(folder: Path, recipe: Recipe) -> Measurements:
    """Return the measurements that a page shows."""
    return read_evidence(folder, recipe.engines, recipe.variants, recipe.evaluated)
