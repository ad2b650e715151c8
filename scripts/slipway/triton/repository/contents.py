"""The exact files of a folder, and their differences from a record."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from slipway.core.artifacts import sha256

# The value in place of a SHA-256 for a link and for a file that cannot be read. No record has it, so it always differs.
UNREADABLE = "unreadable"


def contents(folder: Path) -> dict[str, str]:
    """Return {path below `folder`: SHA-256} of every file, hidden ones and links too; {} if the folder is absent."""
    return {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def differences(present: Mapping[str, str], recorded: Mapping[str, str]) -> str:
    """Return the differences of {path: SHA-256} from its record, as text such as "edited: a, b; missing: c", or ""."""
    kinds = {
        "edited": [path for path in recorded if path in present and present[path] != recorded[path]],
        "missing": [path for path in recorded if path not in present],
        "not part of it": [path for path in present if path not in recorded],
    }
    return "; ".join(f"{kind}: {', '.join(sorted(paths))}" for kind, paths in kinds.items() if paths)


def remove_bytecode(folder: Path) -> None:
    """Remove compiled bytecode: Python would run it in place of the compared files."""
    for found in list(folder.rglob("__pycache__")):
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)


def _digest(path: Path) -> str:
    with contextlib.suppress(OSError):
        if path.is_file() and not path.is_symlink():
            return sha256(path)
    return UNREADABLE
