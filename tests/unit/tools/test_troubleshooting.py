"""Every message of docs/troubleshooting.md is one that a program says."""

import ast
import re

import pytest
from helpers.workplace import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = [message.strip() for message in re.findall(r"^\| ``(.+?)`` \|", PAGE, re.MULTILINE)]
SHELL = ("Makefile", "scripts/find_python", "scripts/make_serving")


def texts(tree):
    """Return the texts in a program, with one sign in place of each value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


SAID = [text for path in (REPOSITORY / "scripts").rglob("*.py") for text in texts(ast.parse(path.read_text()))]
SAID += [(REPOSITORY / name).read_text(encoding="utf-8") for name in SHELL]


def test_there_are_ten_and_each_has_its_row():
    assert len(MESSAGES) >= 10
    assert len(MESSAGES) == len(re.findall(r"^\| [^|]*[^-|\s]+.* \|$", PAGE, re.MULTILINE)) - 1


@pytest.mark.parametrize("message", MESSAGES)
def test_a_program_says_it(message):
    pattern = re.compile("[^\n]{0,80}".join(map(re.escape, message.split("..."))))
    assert any(pattern.search(text) for text in SAID)
