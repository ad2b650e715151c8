"""Write docs/configuration.md: each key of config.yaml with its default and its meaning, from the schema."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import write_text
from slipway.core.cli import parser, run
from slipway.core.schema import read_schema, referenced
from slipway.core.templates import document
from slipway.tools.snakemake_runs import REPOSITORY

# A list with more choices than this is not shown; the schema has it.
MOST_CHOICES = 8


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "--output", type=Path, default=REPOSITORY / "docs" / "configuration.md", help="page to write"
    )
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write docs/configuration.md, or the file that --output names."""
    write_text(arguments.output, page(read_schema()))


def page(schema: dict) -> str:
    """Return the page docs/configuration.md as Markdown, with a table for each top-level key of config.yaml.

    `schema` is the parsed JSON schema of config.yaml.
    """
    sections = {name: dict(_keys(name, part, schema)) for name, part in schema["properties"].items()}
    template = Path(__file__).with_name("configuration.md.j2")
    return document(template, {"sections": sections}, default_of=_default, meaning=_meaning)


def _keys(key: str, part: dict, schema: dict) -> Iterator[tuple[str, dict]]:
    """Yield (dotted key, its part of the schema) for the key `key` of config.yaml, then for each key below it.

    `part` is the part of the whole JSON schema `schema` that describes the key.
    """
    part = referenced(part, schema) | part
    yield key, part
    for name, below_it in part.get("properties", {}).items():
        yield from _keys(f"{key}.{name}", below_it, schema)
    named = part.get("additionalProperties")
    if isinstance(named, dict):
        below = list(_keys(f"{key}.<name>", named, schema))
        yield from below if "description" in below[0][1] else below[1:]


def _default(schema: dict) -> str:
    """Return the default of a key as YAML text; "required" if the key has no default.

    `schema` is the part of the schema that describes the key.
    """
    return f"`{json.dumps(schema['default'])}`".replace('"', "") if "default" in schema else "required"


def _meaning(schema: dict) -> str:
    choices = ["null" if choice is None else str(choice) for choice in schema.get("enum", [])]
    shown = f" One of {', '.join(choices)}." if 0 < len(choices) <= MOST_CHOICES else ""
    return f"{schema.get('description', '')}{shown}".strip().replace("|", "\\|")


if __name__ == "__main__":
    run(main, parse_arguments())
