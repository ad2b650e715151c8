"""An entry of `models` in config.yaml that is not complete yet, with comments for the user."""

import json
import textwrap
from dataclasses import dataclass, field

# Begins the comment of a line that the user has to complete.
FILL_IN = "FILL IN"


@dataclass
class Entry:
    """An entry of `models`: its `lines` (key, value in YAML, comment), and sentences for the user, its `findings`.

    `weights` is the path or address of the checkpoint, as the user named it.
    """

    weights: str
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def add(self, key: str, value: object, comment: str = "") -> None:
        """Add a line. A key that begins with "# " is shown, but not set."""
        self.lines.append((key, str(value), comment))

    def text(self, name: str) -> str:
        """Return the entry as a configuration that stands alone."""
        named = json.dumps(self.weights)[1:-1]  # a file's name may have line breaks
        written = [f"# A first entry for {named}, written by scripts/new_model.py.", "models:", f"  {name}:"]
        for key, value, comment in self.lines:
            written += [f"    # {line}" for line in textwrap.wrap(comment, 110, break_long_words=False)]
            written.append(f"    {key}: {value}")
        return "\n".join(written) + "\n"
