"""Names of folders that tritonserver can take, whatever characters their paths have.

Up to release 24.10 at least, Triton's Python backend starts its stub as one line of `bash -c` with unquoted paths: a
space splits them, and `$(...)` or a semicolon in them runs as a command. So a server works in its own folder. It is
given other folders by a name relative to that one, or by a link in it if that name is not plain either.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from slipway.core.errors import SlipwayError

# Characters without a meaning to a shell, to a list of folders such as PATH, and to a command line split at spaces.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=,./-]+")
LINKS = "links"
# Folders for temporary files on every Linux, the one on a disk first.
_USUAL_TEMPORARY = ("/var/tmp", "/tmp")


def is_plain(path: Path | str) -> bool:
    """Say whether a shell reads a path as plain text."""
    return _PLAIN.fullmatch(str(path)) is not None


def seen_from(folder: Path, path: Path) -> str:
    """Return a plain name of `path` for a process that works in `folder`; make a link there if it needs one."""
    name = os.path.relpath(path.resolve(), folder.resolve())
    return name if is_plain(name) else str(link_below(folder, path.resolve()).relative_to(folder))


def link_below(folder: Path, target: Path) -> Path:
    """Make a link in `folder` to `target`, an absolute path. It has the same name each time."""
    name = folder / LINKS / hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    make_link(name, target)
    return name


def make_link(name: Path, target: Path) -> None:
    """Make `name` a symbolic link to `target`, whatever it was before."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if not (name.is_symlink() and name.readlink() == target):
        name.unlink(missing_ok=True)
        name.symlink_to(target)


def listed(folder: Path, path: Path) -> str:
    """Return a name of `path` for a list of folders such as PATH, where `:` and `;` separate and `$` expands.

    `folder` is the working directory of the process that reads the list.
    """
    if not set(":;$") & set(str(path)):
        return str(path)
    return seen_from(folder, path)


def temporary_folder() -> Path:
    """Return the folder for temporary files, or a usual one if Triton cannot take its path.

    Raises SlipwayError when there is none.
    """
    chosen = Path(tempfile.gettempdir())
    for folder in (chosen, *map(Path, _USUAL_TEMPORARY)):
        if is_plain(folder) and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise SlipwayError(
        f"Triton cannot take the path of the temporary folder, {chosen}, and {' or '.join(_USUAL_TEMPORARY)} cannot "
        "be written to; set TMPDIR to a folder whose path has only letters, digits and ._-/"
    )
