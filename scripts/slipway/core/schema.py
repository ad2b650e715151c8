"""Read schemas/config.schema.yaml, the JSON Schema of config.yaml: type, default and meaning of each setting."""

from pathlib import Path

import yaml

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "config.schema.yaml"


def read_schema() -> dict:
    """Return the JSON Schema of config.yaml. Each call returns a new dict, which the caller may change."""
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def referenced(part: dict, schema: dict) -> dict:
    """Return the definition that `part` of a JSON Schema refers to by `$ref`; {} if it has no `$ref`.

    `schema` is the whole schema, which has the definitions in `$defs`.
    """
    return schema["$defs"].get(part.get("$ref", "").rpartition("/")[2], {})
