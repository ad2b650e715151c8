"""Make text of unknown origin (class names, a server's messages) safe to print: terminals obey control characters."""

import re

# It makes text safe to show, and makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

# C0 and C1 control characters except tab and line feed, and the characters that change the writing direction.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return `text` with control characters written as escapes; tabs and line feeds remain."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
