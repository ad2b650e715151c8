"""Write files completely or not at all; hash files; read and write JSON records."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.core.errors import SlipwayError


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. Rename it to `path` if the block succeeds, else remove it.

    Works for a file and for a folder. POSIX renames a folder only onto an empty one, so an existing folder is moved
    aside first. The temporary name ends with the name of `path`, because some writers look at the suffix.
    """
    path = Path(path)
    partial = _partial(path)
    try:
        yield partial
        _settle(partial)
        _move(partial, path)
    finally:
        remove(partial)


@contextmanager
def atomic_write_together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield temporary paths of several files, such as a graph and its weights. Move them all if the block succeeds.

    The files have their final names, in a temporary folder, because such files name each other. Other files that are
    written there are removed. The first of `paths` is moved last.
    """
    folder = _partial(paths[0])
    remove(folder)
    folder.mkdir()
    try:
        partials = [folder / path.name for path in paths]
        yield partials
        for partial in partials:
            _settle(partial)
        for partial, path in reversed([*zip(partials, paths, strict=True)]):
            _move(partial, path)
    finally:
        remove(folder)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, completely or not at all."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON, completely or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """Return the content of a JSON record. Raise SlipwayError with the file's name if it is absent or invalid."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SlipwayError(f"{path} does not exist; run the step that makes it: snakemake --cores 1 {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SlipwayError(f"{path} is not valid JSON ({error}); remove it and run snakemake again") from None


def data_file(path: Path) -> Path:
    """Return the path of an ONNX file's data file.

    The data file has the weights of a network over 2 GB, and is empty for other networks.
    """
    return path.with_name(f"{path.name}.data")


def record_of_onnx(path: Path, record_path: Path) -> dict:
    """Return the record of an ONNX file. Raise SlipwayError if the file or its data file is not the recorded one."""
    record = read_json(record_path)
    if sha256(path) != record["sha256"]:
        raise SlipwayError(f"{path} is not the file of its record: edited or truncated; remove it, run again")
    require_data(path, record)
    return record


def require_data(path: Path, record: dict) -> None:
    """Raise SlipwayError if the weights of an ONNX file are in its data file, and this file is not the recorded one."""
    data, expected = data_file(path), record["data_sha256"]
    if expected and (not data.is_file() or sha256(data) != expected):
        raise SlipwayError(
            f"{data}, which has the weights of {path.name}, is not the file of its record: edited, truncated or "
            f"missing; remove {path} and run again"
        )


def make_folder(path: Path) -> None:
    """Make a folder for Slipway's own files. If a file or a broken link is in its place, remove it first."""
    if not path.is_dir():
        remove(path)
    path.mkdir(parents=True, exist_ok=True)


def make_way_for_file(path: Path) -> None:
    """Make the parent folder of one of Slipway's own files. If a folder is in the file's place, remove it."""
    make_folder(path.parent)
    if path.is_dir():
        remove(path)


def tree_digest(folder: str | Path) -> dict[str, str]:
    """Return {path relative to `folder`: SHA-256} of every file below it, sorted by path.

    Hidden files (such as Snakemake's time stamp) and the bytecode of a server's Python are left out.
    """
    folder = Path(folder)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.parent.name != "__pycache__"
    )
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def clear_up_after_a_kill(path: Path) -> None:
    """Remove the files that a killed writer of `path` left, and restore a folder that it had moved aside."""
    for aside in path.parent.glob(f".replaced.*.{path.name}"):
        if path.exists():
            remove(aside)
        else:
            aside.rename(path)
    for partial in path.parent.glob(f".partial.*.{path.name}"):
        remove(partial)


def _partial(path: Path) -> Path:
    """Return the temporary path of a file or folder, in an existing folder without the files of killed writers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_up_after_a_kill(path)
    return path.with_name(f".partial.{os.getpid()}.{path.name}")


def _move(partial: Path, path: Path) -> None:
    """Rename a settled file or folder to `path`."""
    if path.is_dir():
        _replace_folder(partial, path)
    else:
        partial.rename(path)


def _replace_folder(new: Path, path: Path) -> None:
    aside = path.with_name(f".replaced.{os.getpid()}.{path.name}")
    path.rename(aside)
    try:
        new.rename(path)
    except OSError:
        aside.rename(path)
        raise
    shutil.rmtree(aside)


def _settle(path: Path) -> None:
    """Make the written file, or each file of the folder, readable for all users, and flush it to disk."""
    if not path.exists():
        raise FileNotFoundError(f"nothing was written to {path}")
    for file in [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]:
        file.chmod(0o644)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
