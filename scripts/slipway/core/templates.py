"""Templates for Jinja beside the code. An inserted value is quoted, so it cannot change the structure around it."""

import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup


def yaml_documents(template: Path, **values: Any) -> list:
    """Return the documents of a YAML template. Its `{{ value }}` becomes JSON, which is YAML, too."""
    text = _filled_in(template, values, partial(json.dumps, ensure_ascii=False))
    return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def shell_script(template: Path, **values: Any) -> str:
    """Return the text of a template for a shell. Its `{{ value }}` is quoted, unless it is marked `safe`."""
    return _filled_in(template, values, lambda value: value if isinstance(value, Markup) else shlex.quote(str(value)))


def _filled_in(template: Path, values: dict[str, Any], quoted: Callable[[Any], str]) -> str:
    environment = jinja2.Environment(
        finalize=quoted,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)
