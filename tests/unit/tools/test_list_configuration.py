"""docs/configuration.md is the schema of config.yaml."""

import re

import yaml
from helpers.workplace import REPOSITORY

import list_configuration
from slipway.core.schema import SCHEMA, read_schema

CONTENT = read_schema()


def test_the_page_is_that_of_the_schema():
    written = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == list_configuration.page(CONTENT), "`make configuration` writes it anew"


def test_every_key_of_the_commented_configuration_has_its_row():
    page = list_configuration.page(CONTENT)
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    for section, settings in config.items():
        assert f"\n## {section}\n" in page
        if section in ("models", "targets"):
            section, (settings,) = f"{section}.<name>", settings.values()
        for name in settings if isinstance(settings, dict) else []:
            assert f"\n| `{section}.{name}` |" in page


def test_each_row_has_a_default_and_a_meaning():
    rows = re.findall(r"^\| `(.+?)` \| (.*?) \| (.*) \|$", list_configuration.page(CONTENT), re.MULTILINE)
    assert len(rows) > 150
    assert not [row for row in rows if not all(row)]


def test_an_editor_finds_the_schema_from_the_configuration():
    first = (REPOSITORY / "config.yaml").read_text(encoding="utf-8").splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert (REPOSITORY / named[1]) == SCHEMA
