"""Templates for Jinja beside the code. An inserted value is quoted, so it cannot change the structure around it."""

import json
import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def yaml_documents(template: Path, **values: Any) -> list:
    """Return the documents of a YAML template. Its `{{ value }}` becomes JSON, which is YAML, too."""
    text = _compiled(template, _as_json).render(values)
    return list(yaml.load_all(text, Loader=_LOADER))


def shell_script(template: Path, **values: Any) -> str:
    """Return the text of a template for a shell. Its `{{ value }}` is quoted, unless it is marked `safe`."""
    return _compiled(template, _quoted).render(values)


def data_of(template: Path, **values: Any) -> Any:
    """Return the content of a YAML template whose `<< value >>` becomes text as it is, within a longer text."""
    return yaml.load(_compiled(template, str, ("<<", ">>")).render(values), Loader=_LOADER)


def _as_json(value: object) -> str:
    r"""Return a value as JSON in ASCII that YAML reads, too: each escape is one character, never a surrogate pair.

    Left as they are, U+0085, U+2028 and U+2029 would end the line, and other signs would be refused.
    """
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda sign: f"\\U{ord(sign[0]):08x}", text)


def _quoted(value: object) -> str:
    return value if isinstance(value, Markup) else shlex.quote(str(value))


@cache
def _compiled(template: Path, inserted: Callable[[Any], str], marks: tuple[str, str] = ("{{", "}}")) -> jinja2.Template:
    environment = jinja2.Environment(
        finalize=inserted,
        undefined=jinja2.StrictUndefined,
        variable_start_string=marks[0],
        variable_end_string=marks[1],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(template.read_text(encoding="utf-8"))
