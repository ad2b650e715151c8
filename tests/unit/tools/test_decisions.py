"""The table of decisions in docs/CONTRIBUTING.md names functions that exist."""

import ast
import re

import pytest
from helpers.workplace import REPOSITORY

TABLE = (
    (REPOSITORY / "docs/CONTRIBUTING.md")
    .read_text(encoding="utf-8")
    .split("## Where it is decided")[1]
    .split("\n## ")[0]
)
NAMED = re.findall(r"`([\w/]+\.py)(?::([\w.]+))?`", TABLE.partition("| --- |")[2])


def defined(tree):
    """Return the names of a module's functions and classes, and Class.method of their methods."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    top = [node for node in tree.body if isinstance(node, kinds)]
    methods = [f"{node.name}.{each.name}" for node in top for each in node.body if isinstance(each, kinds)]
    return {*(node.name for node in top), *methods}


def test_the_table_has_its_rows():
    assert len(NAMED) >= 20


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_decision_is_where_the_table_says(file, name):
    path = REPOSITORY / file if file.startswith("scripts/") else REPOSITORY / "scripts/slipway" / file
    assert not name or name in defined(ast.parse(path.read_text(encoding="utf-8")))
