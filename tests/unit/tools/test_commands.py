"""Each command of Snakemake in docs and messages names its targets where Snakemake takes them as such."""

import re
import shlex

import pytest
from helpers.workplace import REPOSITORY
from snakemake.cli import get_argument_parser

# Options that take all words after them, up to the next option.
GREEDY = ("--forcerun", "--configfile", "--config", "--allowed-rules", "--until", "--omit-from", "--set-threads")
FILES = [REPOSITORY / "README.md", REPOSITORY / "Snakefile", *(REPOSITORY / "docs").rglob("*.md")]
FILES += (REPOSITORY / "scripts").rglob("*.py")
COMMAND = re.compile(r"\bsnakemake ((?:-[\w-]+|[\w./=:@{}<>-]+)(?: (?:-[\w-]+|[\w./=:@{}<>-]+))*)")


def commands():
    """Return (file, the words after `snakemake`) of each command with an option that may take its targets."""
    for path in FILES:
        for line in path.read_text(encoding="utf-8").splitlines():
            for words in COMMAND.findall(line.partition("  #")[0]):
                if any(f"{option} " in words for option in GREEDY):
                    yield path.relative_to(REPOSITORY).as_posix(), words


@pytest.mark.parametrize(("name", "words"), sorted(set(commands())))
def test_a_command_has_a_target(name, words):
    parsed, _ = get_argument_parser().parse_known_args(shlex.split(words))
    assert parsed.targets, f"{name}: an option takes the targets of `snakemake {words}`"


def test_such_commands_are_found():
    assert len({words for _, words in commands()}) > 10
