"""Lint, format and types are tests like any other."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
CHECKS = {
    "ruff check": ["ruff", "check", "scripts", "tests", "docs/examples"],
    "ruff format": ["ruff", "format", "--check", "scripts", "tests", "docs/examples"],
    "snakefmt": ["snakefmt", "--check", "--line-length", "120", "Snakefile", "rules"],
    "snakemake --lint": ["snakemake", "--lint"],
    "mypy": ["mypy"],
}


@pytest.mark.parametrize("check", CHECKS)
def test_style(check):
    program, *arguments = CHECKS[check]
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pre_commit_runs_the_same_checks():
    settings = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [hook["entry"].split() for hook in settings["repos"][0]["hooks"]] == list(CHECKS.values())


def test_the_snakefile_and_the_rules_stay_short():
    assert len((REPOSITORY / "Snakefile").read_text(encoding="utf-8").splitlines()) <= 60
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in (REPOSITORY / "rules").glob("*.smk")}
    assert not {path.name for path in lines if len(lines[path]) > 160}
    assert sum(map(len, lines.values())) <= 1180


def docstrings():
    """Return every docstring of the programs and packages."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (REPOSITORY / "scripts").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


def test_hardly_any_docstring_hangs_on_a_what_clause():
    """A reader whose first language is not English reads "what is served" twice, and "the served version" once."""
    texts = docstrings()
    hanging = [text for text in texts if re.search(r"\bwhat(ever)?\b", text, re.IGNORECASE)]
    assert len(texts) > 2500
    assert len(hanging) <= len(texts) / 100, hanging


def test_make_test_runs_every_test():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^test:.*\n\t.*pytest (.*)$", makefile, re.MULTILINE)
    named = [REPOSITORY / word for word in command.split() if word.startswith("tests/")]
    for module in (REPOSITORY / "tests").rglob("test_*.py"):
        assert any(place == module or place in module.parents for place in named), module
