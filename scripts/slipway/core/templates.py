"""Fill in Jinja templates that are beside the code.

In texts for machines, such as YAML and shell scripts, values are quoted, so a value cannot change the text's structure.
"""

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


def yaml_documents(template: Path, **values: Any) -> list:
    """Return the list of documents in a YAML template, with each `{{ name }}` replaced by the value of this name.

    A value is inserted as JSON, which is valid YAML.
    """
    text = _compiled(template, _as_json).render(values)
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def shell_script(template: Path, **values: Any) -> str:
    """Return the text of a shell template, with each `{{ name }}` replaced by the value of this name.

    A value is quoted for the shell unless the template marks it `safe`.
    """
    return _compiled(template, _quoted).render(values)


def data_of(template: Path, **values: Any) -> Any:
    """Return the parsed content of a YAML template, with each `<< name >>` replaced by the value of this name.

    A value is inserted as text, without quotes, so it may be any part of YAML.
    """
    return yaml.load(_compiled(template, str, ("<<", ">>")).render(values), Loader=yaml.CSafeLoader)


def document(template: Path, values: dict, **filters: Callable[..., Any]) -> str:
    """Return the text of a template for a reader, with `values`, {name: value}, filled in.

    `filters` are functions that the template calls as `{{ value | name }}`. Values are escaped only in SVG (.svg.j2). A
    missing value raises jinja2's UndefinedError.
    """
    environment = _environment(autoescape=template.name.endswith(".svg.j2"))
    environment.filters |= filters
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)


def _as_json(value: object) -> str:
    r"""Return a value as ASCII text in YAML, written like JSON. Other characters become escapes: \U and 8 digits.

    Without escapes, YAML would end the line at U+0085, U+2028 and U+2029, and refuse some other characters.
    """
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda sign: f"\\U{ord(sign[0]):08x}", text)


def _quoted(value: object) -> str:
    return value if isinstance(value, Markup) else shlex.quote(str(value))


@cache
def _compiled(template: Path, inserted: Callable[[Any], str], marks: tuple[str, str] = ("{{", "}}")) -> jinja2.Template:
    environment = _environment(finalize=inserted, variable_start_string=marks[0], variable_end_string=marks[1])
    return environment.from_string(template.read_text(encoding="utf-8"))


def _environment(**options: Any) -> jinja2.Environment:
    return jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, **options
    )
