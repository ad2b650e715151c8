"""The forms of `samples` in config.yaml: the user's function, a .npz file, or a folder of .npz files."""

import re
from collections.abc import Sequence
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.keys.file_hash_cache import FileHashCache

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)
SUFFIX = ".npz"


def is_function(source: str) -> bool:
    """Return whether a source of samples is "package.module:function" (True) or a path (False)."""
    return bool(_FUNCTION.fullmatch(source))


def files_of(source: str | Path) -> list[Path]:
    """Return the sorted .npz files at a path: the file itself, or the files in the folder.

    Raises SlipwayError if there is no such file.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.glob(f"*{SUFFIX}") if file.is_file() and not file.name.startswith("."))
        if not files:
            raise SlipwayError(f"the folder {path} holds no {SUFFIX} file; put the samples there with numpy.savez")
        return files
    if not path.is_file():
        raise SlipwayError(
            f'{path} does not exist; name a {SUFFIX} file, a folder of them, or a function as "package.module:function"'
        )
    if path.suffix != SUFFIX:
        raise SlipwayError(f"{path} is no {SUFFIX} file; write the samples with numpy.savez(path, name=array)")
    return [path]


def evenly(items: Sequence, count: int) -> list:
    """Return at most `count` of the items, evenly spread. The result always has the first item."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def digest_of(source: str | Path, file_hashes: FileHashCache | None = None) -> str:
    """Return one SHA-256 of the names and contents of the .npz files at a path, which is a file or a folder.

    `file_hashes` remembers the hash of each file, so that unchanged files are not read again. With None, all are read.
    """
    files = files_of(source)
    return (file_hashes or FileHashCache()).of_many(files, files[0].parent)
