"""Find values that YAML 1.1 reads differently than written: 1e-3 is text, 072 is 58, 12:30 is 750, no is false.

Such a value is refused if the schema expects another type. If the schema allows any type, the value is refused if its
meaning in YAML 1.1 is rarely intended.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError
from slipway.core.schema import referenced
from slipway.keys.config_schema import schema
from slipway.keys.config_text import read_tree

_TAG = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_WORDS_FOR_BOOLEANS = ("yes", "no", "on", "off")
_KIND_OF_TYPE = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_KINDS = {"str": "string", "int": "number", "float": "number", "bool": "boolean", "null": "null"}


def require_read_as_written(path: str | Path) -> None:
    """Raise SlipwayError unless a configuration file is valid YAML, and YAML reads its values as they are written.

    The message has the key, the line and the correction. A missing file raises nothing, because Snakemake reports it.
    """
    root = read_tree(path)
    if root is None or _is_json(path):
        return
    for node, key, schemas in _scalars(root, "", [schema()]):
        if advice := _advice(node, _kinds(schemas)):
            raise SlipwayError(
                f"config: `{key}` in line {node.start_mark.line + 1} of {path} is written {node.value}, which YAML "
                f"reads as {_read_as(node)}; write {advice}"
            )


def _is_json(path: str | Path) -> bool:
    """Return whether Snakemake reads a file as JSON, in which numbers are always read as written."""
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(Path(path).read_bytes())
        return True
    return False


def _scalars(node: yaml.Node, key: str, schemas: list[dict]) -> Iterator[tuple[yaml.ScalarNode, str, list]]:
    """Yield (scalar, its dotted key, list of its JSON Schemas) for each unquoted scalar in or below a YAML node.

    `key` and `schemas` are those of the node. An empty list of schemas allows any value.
    """
    if isinstance(node, yaml.ScalarNode) and not node.style:
        yield node, key, schemas
    elif isinstance(node, yaml.SequenceNode):
        items = [owner["items"] for owner in _alternatives(schemas) if "items" in owner]
        for item in node.value:
            yield from _scalars(item, key, items)
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.tag == f"{_TAG}merge":
                yield from _scalars(value, key, schemas)
                continue
            below = f"{key}.{name.value}" if key else name.value
            if name.tag != f"{_TAG}str":
                yield name, below, [{"type": "string"}]
            yield from _scalars(value, below, _property(schemas, name.value))


def _property(schemas: list[dict], name: str) -> list[dict]:
    owners = _alternatives(schemas)
    values = [owner.get("properties", {}).get(name, owner.get("additionalProperties")) for owner in owners]
    return [value for value in values if isinstance(value, dict)]


def _alternatives(schemas: Iterable[dict]) -> Iterator[dict]:
    """Yield the given schemas and, recursively, the schemas in their `$ref`, `anyOf` and `oneOf`."""
    for allowed in schemas:
        yield allowed
        if definition := referenced(allowed, schema()):
            yield from _alternatives([definition])
        yield from _alternatives([*allowed.get("anyOf", []), *allowed.get("oneOf", [])])


def _kinds(schemas: list[dict]) -> set[str]:
    """Return the types that a scalar may have (string, integer, number, boolean, null); empty if any is allowed."""
    kinds: set[str] = set()
    for allowed in _alternatives(schemas):
        types = allowed.get("type", "string" if "pattern" in allowed else [])
        kinds.update([types] if isinstance(types, str) else types)
        kinds.update(_KIND_OF_TYPE[type(value)] for value in allowed.get("enum", []))
    return kinds - {"array", "object"}


def _advice(node: yaml.ScalarNode, kinds: set[str]) -> str | None:
    """Return the text to write instead of a scalar; None if YAML reads it as intended or the schema refuses it.

    `kinds` are the types that the scalar may have, as `_kinds` returns them.
    """
    written, tag = node.value, node.tag.removeprefix(_TAG)
    number_meant = not kinds or kinds & {"number", "integer"}
    text_meant = not kinds or "string" in kinds
    quoted = json.dumps(written, ensure_ascii=False)
    if tag == "str":
        return _as_number(written, kinds) if number_meant and _NUMBER.fullmatch(written) else None
    if tag == "null" or _KINDS.get(tag) in kinds or (tag == "int" and "integer" in kinds):
        return _of_garbled_number(written, kinds) if tag in ("int", "float") else None
    if kinds:
        return f"{quoted} in quotes" if text_meant else None
    if tag in ("int", "float"):
        return _of_garbled_number(written, kinds)
    if tag == "bool":
        plain = "true" if yaml.safe_load(written) else "false"
        return f"{plain}, or {quoted} in quotes" if written.lower() in _WORDS_FOR_BOOLEANS else None
    return f"{quoted} in quotes"  # a date


def _of_garbled_number(written: str, kinds: set[str]) -> str | None:
    """Return the text to write instead of a number that YAML reads in base 8 or 60; None for any other number.

    `kinds` are the types that the setting may have. If text is one of them, the advice also has the number in quotes.
    """
    if ":" in written:
        correction = f"{yaml.safe_load(written)} if that is meant"
    elif _OCTAL.fullmatch(written):
        correction = str(int(written.replace("_", "")))
    else:
        return None
    return correction if kinds and "string" not in kinds else f"{correction}, or {json.dumps(written)} in quotes"


def _as_number(written: str, kinds: set[str]) -> str:
    """Return the number in the text `written` in a form that YAML 1.1 reads as this number, such as 1.0e-12.

    If `kinds` lacks "number", a whole number has no decimal point.
    """
    value = float(written)
    if value.is_integer() and ("number" not in kinds or re.fullmatch(r"[-+]?\d+", written)):
        return str(int(value))
    return yaml.safe_dump(value).split()[0]


def _read_as(node: yaml.ScalarNode) -> str:
    value = yaml.safe_load(node.value)
    if isinstance(value, str):
        return "text"
    return json.dumps(value) if isinstance(value, (bool, int, float)) or value is None else "a date"
