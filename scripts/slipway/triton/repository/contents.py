"""Exactly which files a folder holds, and in what they differ from a record of them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from slipway.core.artifacts import sha256

# In place of a SHA-256; no record has them, so they always differ.
NO_FILE, UNREADABLE = "no regular file", "unreadable"


def contents(folder: Path) -> dict[str, str]:
    """Return {path below `folder`: SHA-256} of everything in it, hidden files and links too; {} where it is absent."""
    return {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def differences(found: Mapping[str, str], recorded: Mapping[str, str]) -> str:
    """Return in words in what files differ from their record, such as "edited: a, b; missing: c"; "" where they do not.

    Both are {path: SHA-256}.
    """
    kinds = {
        "edited": [path for path in recorded if path in found and found[path] != recorded[path]],
        "missing": [path for path in recorded if path not in found],
        "not part of it": [path for path in found if path not in recorded],
    }
    return "; ".join(f"{kind}: {', '.join(sorted(paths))}" for kind, paths in kinds.items() if paths)


def remove_bytecode(folder: Path) -> None:
    """Remove what servers compiled: Python would run it in place of the files that were compared."""
    for found in list(folder.rglob("__pycache__")):
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)


def _digest(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return NO_FILE
    try:
        return sha256(path)
    except OSError:
        return UNREADABLE
