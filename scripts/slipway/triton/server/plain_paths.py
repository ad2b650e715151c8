"""Plain names for folders with any path, because tritonserver does not quote paths.

Up to release 24.10 at least, Triton's Python backend starts its stub with one line of `bash -c` and unquoted paths. A
space splits such a path, and `$(...)` or a semicolon runs as a command. So a server gets paths relative to its working
folder. If a relative path has special characters, the working folder gets a link to it.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from slipway.core.errors import SlipwayError

# Characters without a special meaning in shells, command lines, and lists of folders such as PATH.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=,./-]+")
LINKS = "links"
# The folders for temporary files on every Linux. The first one is on a disk.
_USUAL_TEMPORARY = ("/var/tmp", "/tmp")


def is_plain(path: Path | str) -> bool:
    """Say whether a path has no characters with a special meaning in a shell."""
    return _PLAIN.fullmatch(str(path)) is not None


def seen_from(folder: Path, path: Path) -> str:
    """Return a name of `path`, relative to `folder`, without characters that a shell interprets.

    If the path has such characters, make a link to it in `folder`, and return the link's name.
    """
    target = path.resolve()
    name = os.path.relpath(target, folder.resolve())
    if is_plain(name):
        return name
    link = f"{LINKS}/{hashlib.sha256(os.fsencode(target)).hexdigest()[:16]}"
    make_link(folder / link, target)
    return link


def make_link(name: Path, target: Path) -> None:
    """Make `name` a symbolic link to `target`. An existing file or link `name` is replaced."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if not (name.is_symlink() and name.readlink() == target):
        name.unlink(missing_ok=True)
        name.symlink_to(target)


def listed(folder: Path, path: Path) -> str:
    """Return a name of `path` that can stand in a list of folders such as PATH, in which `:` and `;` separate entries.

    If the path has such a character or `$`, the name is relative to `folder`, which may get a link to the path.
    `folder` is the working folder of the process that reads the list.
    """
    if not set(":;$") & set(str(path)):
        return str(path)
    return seen_from(folder, path)


def joined(*parts: str | None) -> str:
    """Return the parts as one list of folders such as PATH. Empty parts are left out."""
    return os.pathsep.join(filter(None, parts))


def temporary_folder() -> Path:
    """Return a folder for temporary files whose path a shell can take unquoted: Python's, or else /var/tmp or /tmp.

    Raises SlipwayError if there is no such folder with a plain path.
    """
    chosen = Path(tempfile.gettempdir())
    for folder in (chosen, *map(Path, _USUAL_TEMPORARY)):
        if is_plain(folder) and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise SlipwayError(
        f"Triton cannot take the path of the temporary folder, {chosen}, and {' or '.join(_USUAL_TEMPORARY)} cannot "
        "be written to; set TMPDIR to a folder whose path has only letters, digits and ._-/"
    )
