"""Plain names for folders with any path, since tritonserver does not quote paths.

Up to release 24.10 at least, Triton's Python backend starts its stub with one line of `bash -c` and unquoted paths: a
space splits them, and `$(...)` or a semicolon runs as a command. So a server works in its own folder. Other folders
have a name relative to that folder, or a link in it if that name is not plain either.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from slipway.core.errors import SlipwayError

# Characters without a special meaning in a shell, in a list of folders such as PATH, and in a command line.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=,./-]+")
LINKS = "links"
# The folders for temporary files on every Linux. The first one is on a disk.
_USUAL_TEMPORARY = ("/var/tmp", "/tmp")


def is_plain(path: Path | str) -> bool:
    """Say whether a shell reads a path as plain text."""
    return _PLAIN.fullmatch(str(path)) is not None


def seen_from(folder: Path, path: Path) -> str:
    """Return a plain name of `path` for a process that works in `folder`; make a link there if it needs one."""
    target = path.resolve()
    name = os.path.relpath(target, folder.resolve())
    if is_plain(name):
        return name
    link = f"{LINKS}/{hashlib.sha256(os.fsencode(target)).hexdigest()[:16]}"
    make_link(folder / link, target)
    return link


def make_link(name: Path, target: Path) -> None:
    """Make `name` a symbolic link to `target`; replace an existing file or link."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if not (name.is_symlink() and name.readlink() == target):
        name.unlink(missing_ok=True)
        name.symlink_to(target)


def listed(folder: Path, path: Path) -> str:
    """Return a plain name of `path` for a list of folders such as PATH.

    In such a list `:` and `;` separate and `$` expands. `folder` is the working folder of the process that reads it.
    """
    if not set(":;$") & set(str(path)):
        return str(path)
    return seen_from(folder, path)


def joined(*parts: str | None) -> str:
    """Return a list of folders such as PATH, without empty parts."""
    return os.pathsep.join(filter(None, parts))


def temporary_folder() -> Path:
    """Return the folder for temporary files, or a usual one if its path is not plain; else raise SlipwayError."""
    chosen = Path(tempfile.gettempdir())
    for folder in (chosen, *map(Path, _USUAL_TEMPORARY)):
        if is_plain(folder) and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise SlipwayError(
        f"Triton cannot take the path of the temporary folder, {chosen}, and {' or '.join(_USUAL_TEMPORARY)} cannot "
        "be written to; set TMPDIR to a folder whose path has only letters, digits and ._-/"
    )
