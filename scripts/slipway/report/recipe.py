"""The recipe of a report page: the options of the program that wrote the page, and the history that the page shows.

The recipe is stored in the page. So a deployment can write the page again, and planning knows whether the page shows
the present history.
"""

import contextlib
import html
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from slipway.core.artifacts import sha256
from slipway.core.records import has_shape
from slipway.history import file as history_file

_ELEMENT = re.compile('<meta name="slipway-recipe" content="([^"]*)">')
_SHAPE = {"engines": [str], "variants": [str], "evaluated": bool, "edition": int, "history": str}


@dataclass(frozen=True)
class Recipe:
    """The options with which write_report.py wrote a page, and the history that the page shows.

    `engines` are such as "l4/fp16" (target/precision), `variants` are precisions of ONNX files. `evaluated` says
    whether the checkpoint was evaluated. `edition` is the number of `edition`. `history` is the SHA-256 of the history
    file, "" if there is no file.
    """

    engines: list[str]
    variants: list[str]
    evaluated: bool
    edition: int = 1
    history: str = ""

    def markup(self) -> Markup:
        """Return the recipe as an HTML element for the head of a page."""
        return element(asdict(self))


def element(content: object) -> Markup:
    """Return JSON content as an HTML element for the head of a page, from which `recipe_of` reads it again."""
    return Markup('<meta name="slipway-recipe" content="{}">').format(json.dumps(content))


def state_of(history: Path) -> str:
    """Return the state of a history: the SHA-256 of its file, which changes with each line; "" if there is no file."""
    return sha256(history) if history.exists() else ""


def recipe_of(page: Path) -> Recipe | None:
    """Return the recipe that is stored in a page; None if the page or a valid recipe is missing."""
    content = _content(page)
    return Recipe(**content) if has_shape(content, _SHAPE) and content.keys() == _SHAPE.keys() else None


def pages_of_index(index: Path) -> list[str]:
    """Return the names of the models in an index page; [] if there is no such page."""
    content = _content(index)
    return content["models"] if has_shape(content, {"models": [str]}) else []


def is_current(page: Path) -> bool:
    """Return whether a page shows the present history of its model. True for a page without a recipe."""
    recipe = recipe_of(page)
    return recipe is None or recipe.history == state_of(page.with_name(history_file.NAME))


def edition(page: Path) -> int:
    """Return a number in the key of a page's job, so that Snakemake writes the page again when its history gets a line.

    While the page shows the present history, the number stays the same. Once the history has another line, the number
    is one higher, so the page is stale. Return 1 if there is no page.
    """
    recipe = recipe_of(page)
    if recipe is None:
        return 1
    return recipe.edition if is_current(page) else recipe.edition + 1


def _content(page: Path) -> Any:
    """Return the JSON content of the `slipway-recipe` element in a page; None if there is no such content."""
    if not page.is_file():
        return None
    with page.open(encoding="utf-8", errors="replace") as file, contextlib.suppress(ValueError):
        written = _ELEMENT.search(file.read(50_000))
        return json.loads(html.unescape(written[1])) if written else None
    return None
