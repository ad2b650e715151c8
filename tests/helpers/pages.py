"""The code blocks of a page of the documentation, and what its commands print."""

import re

from helpers.workplace import REPOSITORY


def blocks(page, kind):
    """Return the blocks of a kind, such as "sh", in a page, such as "docs/weekly.md"."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def printed(place, commands):
    """Run {name: shell command} in the folder of a workplace, one after the other; return {name: what it printed}.

    Each must succeed.
    """
    return {name: place.run(["bash", "-c", command]).succeeded().said for name, command in commands.items()}
