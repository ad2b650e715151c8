"""The JSON Schema of config.yaml: validate a configuration, fill in its defaults, and explain a mistake."""

import copy
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema

from slipway.core.errors import SlipwayError
from slipway.core.schema import read_schema
from slipway.deploy.platforms import PLATFORMS
from slipway.runtimes import RUNTIMES


def fill_in(config: dict) -> None:
    """Validate a configuration, and fill in the schema's defaults in place.

    `config` is the content of config.yaml. Raises SlipwayError with the key, its value and the allowed values if the
    configuration is not valid.
    """
    errors = list(_WithDefaults(schema()).iter_errors(config))
    if errors:
        raise SlipwayError(f"config: {_explain(jsonschema.exceptions.best_match(errors))}")


def is_image(text: str) -> bool:
    """Say whether a text is the name of a container image, such as registry.example.com/team/name:tag."""
    return _WithDefaults(schema()["$defs"]["image"]).is_valid(text)


@cache
def schema() -> dict:
    """Return the JSON Schema of config.yaml, in which all runtimes and platforms of this checkout are allowed values.

    A runtime or platform is allowed if it has a traits file, the JSON file with its facts.
    """
    content = read_schema()
    content["$defs"]["target"]["properties"]["runtime"]["enum"] = ["auto", *RUNTIMES]
    content["properties"]["deploy"]["properties"]["to"]["enum"] = list(PLATFORMS)
    return content


def _fill_defaults(validator: Any, properties: dict, instance: object, schema: dict) -> Iterator:
    """Fill in the schema's defaults in `instance`, then yield the validation errors of its properties.

    This replaces jsonschema's check of `properties`, as jsonschema's documentation shows it.
    """
    if isinstance(instance, dict):
        for name, subschema in properties.items():
            if "default" in subschema:
                instance.setdefault(name, copy.deepcopy(subschema["default"]))
    yield from jsonschema.Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


def _match_pattern(validator: Any, pattern: str, instance: Any, _: dict) -> Iterator:
    """Yield a validation error if the text `instance` does not match a regular expression.

    This replaces jsonschema's check of `pattern`: `$` matches only the end of the text, not before a final line feed,
    and digits are ASCII digits.
    """
    to_the_end = re.sub(r"(?<!\\)\$", r"\\Z", pattern)  # Python's `$` also matches before a final line feed
    if validator.is_type(instance, "string") and not re.search(to_the_end, instance, re.ASCII):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _is_integer(_: Any, value: object) -> bool:
    """Say whether a value is an int, but no bool. JSON Schema also accepts 5.0, which a program's option refuses."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite_number(checker: Any, value: object) -> bool:
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


_WithDefaults = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"properties": _fill_defaults, "pattern": _match_pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_finite_number}
    ),
)


_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}
_SIZES = {"Items": "items", "Length": "characters", "Properties": "entries"}


def _explain(error: jsonschema.ValidationError) -> str:
    """Return a validation error as one sentence with the key, its value and the allowed values."""
    key = ".".join(str(part) for part in error.absolute_path)
    prefix = f"{key}." if key else ""
    if error.validator == "additionalProperties":
        unknown = min(str(name) for name in error.instance if name not in error.schema["properties"])
        return f"`{prefix}{unknown}` is not a key; allowed are {', '.join(sorted(error.schema['properties']))}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"`{prefix}{missing}` is missing; it must be {_allowed(error.schema['properties'][missing])}"
    if "propertyNames" in error.absolute_schema_path:
        return f"`{key}` has the name {error.instance!r}, but a name must be {_allowed(error.schema)}"
    parent = error.parent
    while parent is not None and parent.absolute_path == error.absolute_path:
        error, parent = parent, parent.parent
    return f"`{key or 'the file'}` is {error.instance!r}, but must be {_allowed(error.schema)}"


def _allowed(schema: dict) -> str:
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        described = schema.get("description", "").partition(". ")[0].rstrip(".")
        return described[:1].lower() + described[1:] or " or ".join(_allowed(choice) for choice in choices)
    if "examples" in schema:
        return f"{schema['title']}, such as {', '.join(schema['examples'])}"
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "pattern" in schema:
        return f"text of the form {schema['pattern']} {_size(schema, 'Length', 'characters')}".rstrip()
    kinds = schema.get("type", [])
    words = [" or ".join(_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))]
    limits = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    words += [f"{phrase} {schema[name]}" for name, phrase in limits.items() if name in schema]
    words += [_size(schema, ending, things) for ending, things in _SIZES.items()]
    if "uniqueItems" in schema:
        words.append("without repetition")
    if "items" in schema:
        words.append(f"with each item {_allowed(schema['items'])}")
    return " ".join(filter(None, words))


def _size(schema: dict, ending: str, things: str) -> str:
    """Return the allowed number of `things`, such as "of at least 1 and at most 3 items"; "" without limits.

    `ending` is the ending of the schema's two limits: with "Items", they are `minItems` and `maxItems`.
    """
    fewest, most = schema.get(f"min{ending}"), schema.get(f"max{ending}")
    if fewest is None and most is None:
        return ""
    if fewest == most:
        return f"of exactly {fewest} {things}"
    limits = {"at least": fewest, "at most": most}
    return f"of {' and '.join(f'{word} {limit}' for word, limit in limits.items() if limit is not None)} {things}"
