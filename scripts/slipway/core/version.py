"""The version of Slipway itself, for records."""

import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


def slipway_version() -> dict:
    """Return {"version": that of pyproject.toml, "commit": that of git} of Slipway. An unknown value is None."""
    version = commit = None
    with suppress(OSError, KeyError, tomllib.TOMLDecodeError):
        version = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    with suppress(OSError, subprocess.SubprocessError):
        # Only in Slipway's own checkout. In a copy inside the user's repository, git would return the user's commit.
        command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
        if (_ROOT / ".git").exists():
            commit = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    return {"version": version, "commit": commit or None}
