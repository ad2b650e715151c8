"""Fill in the templates of documents: pages in Markdown, and pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2


def document(template: Path, values: dict, **filters: Callable[..., Any]) -> str:
    """Return a template with its values. Those of a picture (.svg.j2) are escaped. A missing value is an error."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=template.name.endswith(".svg.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= filters
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)
