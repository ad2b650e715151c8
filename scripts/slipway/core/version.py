"""Slipway's own version, for records."""

import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


def slipway_version() -> dict:
    """Return {"version", "commit"}. An unknown one is None, such as the commit where git is missing."""
    version = commit = None
    with suppress(OSError, KeyError, tomllib.TOMLDecodeError):
        version = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    with suppress(OSError, subprocess.SubprocessError):
        # Only of Slipway's own checkout: a copy in the repository of a user has that one's commits.
        command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
        if (_ROOT / ".git").exists():
            commit = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    return {"version": version, "commit": commit or None}
