"""Text from elsewhere (class names, a server's messages) on a terminal, which obeys control characters."""

import re

# C0 and C1 control characters except tab and line feed, and those that change the direction of writing.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return `text` with each control character written as its escape, but for tabs and line ends."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
