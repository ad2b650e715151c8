"""One version, in pyproject.toml, which the community's files repeat."""

import subprocess
import tomllib

import yaml
from helpers.workplace import REPOSITORY

VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_changelog_and_the_citation_have_it():
    assert f"\n## {VERSION}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))["version"] == VERSION


def test_make_shows_it():
    command = ["make", "--no-print-directory", "version"]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith(f"slipway {VERSION}")
