"""Check that the workflow can write its folders, before any job runs."""

import os
from pathlib import Path

from slipway.core.errors import SlipwayError


def require_folders(*names: str) -> None:
    """Raise SlipwayError unless each of the workflow's folders is writable or can be made."""
    for name in names:
        path = Path(name)
        if path.is_symlink() and not path.exists():
            raise SlipwayError(f"{name} is a link to {path.readlink()}, which does not exist; mount or make it first")
        if path.exists() and not path.is_dir():
            raise SlipwayError(f"{name} is a file, but the workflow keeps a folder there; move it away")
        folder = path if path.exists() else path.absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SlipwayError(
                f"{folder} cannot be written by this user, or lies on a read-only file system; change that, or work in "
                "another folder with --directory"
            )
