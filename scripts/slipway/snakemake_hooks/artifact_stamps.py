"""Detect artifacts that were edited or damaged after their jobs made them.

When a job ends, the SHA-256 of each artifact is stored as its stamp. This module's code is in the key of every job, so
it imports no module that only planning needs.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from slipway.core import records
from slipway.core.errors import SlipwayError
from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks.layout import FOLDER, TIME_STAMP, incomplete_mark, snakemake_record

ARTIFACTS = FOLDER / "artifacts.json"


# A stamp: the SHA-256 of an artifact, and the end of its job (s since the epoch).
STAMP = {"sha256": str, "ended": (*records.NUMBER, type(None))}


def read_stamps() -> dict[str, dict]:
    """Return {path of an artifact: {"sha256": its SHA-256, "ended": end of its job in s since the epoch, or None}}.

    A damaged stamp counts as a missing one.
    """
    stamps = records.read_record(ARTIFACTS, dict) or {}
    return {name: stamp for name, stamp in stamps.items() if records.has_shape(stamp, STAMP)}


def recorded_end(path: Path) -> float | None:
    """Return the end of an artifact's job (s since the epoch) in Snakemake's record; None if there is no record."""
    record = records.read_record(snakemake_record(path), {"endtime": records.NUMBER})
    return record and record["endtime"]


def digest(path: Path, file_hashes: FileHashCache) -> str:
    """Return the SHA-256 of an artifact: of a file, or of the names and contents of all files in a folder.

    `file_hashes` is the cache of the files' hashes.
    """
    if path.is_file():
        return file_hashes.sha256(path)
    members = [entry for entry in path.rglob("*") if not _is_left_by_others(entry)]
    return file_hashes.of_many(sorted(members), path)


def require_unmodified(paths: Iterable[Path]) -> None:
    """Raise SlipwayError if an artifact that this job reads has changed since its own job made it.

    `paths` are the files in the job's options. Snakemake marks the outputs of a running job as incomplete, so marked
    files are not checked. If no file is marked, this process is not a job of a workflow, and nothing is checked. New
    artifacts without a stamp are not checked either.
    """
    paths = list(paths)
    outputs = {path for path in paths if incomplete_mark(path).exists()}
    stamps = read_stamps() if outputs else {}
    for path in paths:
        stamp = stamps.get(str(path))
        if stamp is None or path in outputs or not path.exists() or stamp["ended"] != recorded_end(path):
            continue
        sha256 = digest(path, FileHashCache())
        if sha256 != stamp["sha256"]:
            _renew_ctime(path)
            raise SlipwayError(
                f"{path} has changed since it was made (SHA-256 {stamp['sha256'][:8]}.. -> {sha256[:8]}..): it was "
                "edited or damaged; run snakemake again, which makes it anew"
            )


def _renew_ctime(path: Path) -> None:
    """Set a new ctime for an artifact, so that the next planning hashes it again.

    Damage on a disk changes no time stamp, so the cached hash would be used otherwise.
    """
    for file in [path, *path.rglob("*")]:
        with contextlib.suppress(OSError):
            status = file.stat()
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _is_left_by_others(entry: Path) -> bool:
    """Return whether a file in an artifact's folder is not part of it: Snakemake's time stamp, or Python's bytecode."""
    return entry.name in (TIME_STAMP, "__pycache__") or entry.parent.name == "__pycache__"
