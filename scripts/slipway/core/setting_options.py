"""Add settings of config.yaml as options of a program. Type, default and help of an option come from the schema."""

import argparse
from functools import cache

from slipway.core.schema import read_schema, referenced

# This module reads options, but makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

_TYPES = {"integer": int, "number": float}
_schema = cache(read_schema)


def add_settings(arguments: argparse.ArgumentParser | argparse._ArgumentGroup, section: str, *names: str) -> None:
    """Add an option for each of the settings `names` in a section of config.yaml, such as --warmup-seconds.

    `section` is a name such as "benchmark". If the schema allows null for a setting, the option's default is None,
    since rules leave the option out for null.
    """
    for name in names:
        setting = _resolved(_schema()["properties"][section]["properties"][name])
        is_list = setting.get("type") == "array"
        types = _resolved(setting["items"])["type"] if is_list else setting.get("type", "string")
        arguments.add_argument(
            f"--{name.replace('_', '-')}",
            nargs="+" if is_list else None,
            type=next((kind for word, kind in _TYPES.items() if word in types), str),
            choices=setting.get("enum"),
            default=None if "null" in types else setting["default"],
            help=setting["description"].replace("%", "%%"),
        )


def _resolved(setting: dict) -> dict:
    """Return a part of the schema, with the content of its `$ref` in place of the reference."""
    return referenced(setting, _schema()) | setting
