"""Write files completely or not at all, hash files, and read and write JSON records.

A record is the JSON file that a job writes about its result, such as its settings and the SHA-256 of a file.
"""

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
    """Context manager: write `path` completely or not at all. The block writes to the temporary path that it gets.

    If the block succeeds, the temporary file or folder is renamed to `path`, else it is removed. POSIX cannot rename a
    folder onto a folder with files, so the old folder is moved aside first. The temporary name ends with the name of
    `path`, because some writers look at the suffix.
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
    """Context manager: write several files, such as a graph and its weights, all or none.

    The block gets temporary paths in the order of `paths`, and writes to them. If it succeeds, all files are moved to
    `paths`, the first one last. The temporary files have their final names, in one temporary folder, because one file
    may contain the name of another. Other files in this folder are removed at the end.
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
    """Write `content` as indented JSON into a file, completely or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """Return the content of a JSON record, the file that a job wrote about its result.

    Raises SlipwayError with the path if the file is missing or invalid.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SlipwayError(f"{path} does not exist; run the step that makes it: snakemake --cores 1 {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SlipwayError(f"{path} is not valid JSON ({error}); remove it and run snakemake again") from None


def data_file(path: Path) -> Path:
    """Return the path of the data file of an ONNX file: the ONNX file's path with the suffix .data.

    The data file has the weights of a network over 2 GB. For a smaller network it is empty.
    """
    return path.with_name(f"{path.name}.data")


def record_of_onnx(path: Path, record_path: Path) -> dict:
    """Return the record of the ONNX file `path`: the content of `record_path`, which the job that made the file wrote.

    Raises SlipwayError if the ONNX file or its data file has another SHA-256 than the record states.
    """
    record = read_json(record_path)
    if sha256(path) != record["sha256"]:
        raise SlipwayError(f"{path} is not the file of its record: edited or truncated; remove it, run again")
    require_data(path, record)
    return record


def require_data(path: Path, record: dict) -> None:
    """Raise SlipwayError if the ONNX file `path` needs a data file that is missing or has another SHA-256.

    `record` is the record of the ONNX file, as `record_of_onnx` returns it. Its "data_sha256" is the SHA-256 of the
    data file, or empty if none is needed.
    """
    data, expected = data_file(path), record["data_sha256"]
    if expected and (not data.is_file() or sha256(data) != expected):
        raise SlipwayError(
            f"{data}, which has the weights of {path.name}, is not the file of its record: edited, truncated or "
            f"missing; remove {path} and run again"
        )


def make_folder(path: Path) -> None:
    """Make the folder `path`, which is Slipway's own, and its parents.

    If a file or a broken link has this path, remove it first.
    """
    if not path.is_dir():
        remove(path)
    path.mkdir(parents=True, exist_ok=True)


def make_way_for_file(path: Path) -> None:
    """Prepare writing a file of Slipway at `path`: make its parent folder, and remove a folder that has this path."""
    make_folder(path.parent)
    if path.is_dir():
        remove(path)


def tree_digest(folder: str | Path) -> dict[str, str]:
    """Return {path relative to `folder`: SHA-256} of every file below `folder`, sorted by path.

    Hidden files (such as Snakemake's time stamp) and Python's bytecode are left out.
    """
    folder = Path(folder)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.parent.name != "__pycache__"
    )
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def clear_up_after_a_kill(path: Path) -> None:
    """Complete the interrupted write of a killed `atomic_write` of `path`.

    Remove its temporary files. If it had moved the old folder aside and put no new one in its place, move it back.
    """
    for aside in path.parent.glob(f".replaced.*.{path.name}"):
        if path.exists():
            remove(aside)
        else:
            aside.rename(path)
    for partial in path.parent.glob(f".partial.*.{path.name}"):
        remove(partial)


def _partial(path: Path) -> Path:
    """Return the temporary path for writing `path`. Make its parent folder, and clear up after killed writers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_up_after_a_kill(path)
    return path.with_name(f".partial.{os.getpid()}.{path.name}")


def _move(partial: Path, path: Path) -> None:
    """Move the finished file or folder `partial` to `path`. A folder at `path` is replaced."""
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
    """Make a written file, or each file of a folder, readable for all users, and flush it to the disk.

    Raises FileNotFoundError if nothing was written.
    """
    if not path.exists():
        raise FileNotFoundError(f"nothing was written to {path}")
    for file in [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]:
        file.chmod(0o644)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def remove(path: Path) -> None:
    """Remove a file or a folder with its content. If it does not exist, do nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
