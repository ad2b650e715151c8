"""Files that are whole or absent: hashing, atomic writing, JSON records."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.errors import SlipwayError


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, else remove it.

    Works for a file and for a folder. A folder that is replaced is moved aside first, since POSIX renames a folder
    only onto an empty one. The temporary name ends as `path` does, because some writers go by the suffix.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial.{os.getpid()}.{path.name}")
    try:
        yield partial
        _settle(partial)
        replaced = path.with_name(f".replaced.{os.getpid()}.{path.name}") if path.is_dir() else None
        if replaced:
            path.rename(replaced)
        partial.rename(path)
        if replaced:
            shutil.rmtree(replaced)
    finally:
        _remove(partial)


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Read a JSON record; raise SlipwayError naming the file when it is absent or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SlipwayError(f"{path} does not exist; run the step that makes it: snakemake --cores 1 {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SlipwayError(f"{path} is not valid JSON ({error}); remove it and run snakemake again") from None


def tree_digest(folder: str | Path) -> dict[str, str]:
    """Return {path relative to `folder`: SHA-256} of every file below it, sorted by path.

    Hidden files are left out: Snakemake puts one with a time stamp into each folder that a rule makes.
    """
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def _settle(path: Path) -> None:
    for file in [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]:
        file.chmod(0o644)  # some writers make private files, which a server of another user could not read
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
