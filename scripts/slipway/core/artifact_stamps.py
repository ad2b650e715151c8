"""The note on each artifact from when it was made, by which planning and jobs see that it has not changed since.

Jobs are keyed on this module, so it imports none of the modules that only planning needs.
"""

import base64
import contextlib
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from slipway.core import records
from slipway.core.errors import SlipwayError
from slipway.keys.file_hash_cache import FileHashCache

FOLDER = Path("results/.provenance")
ARTIFACTS = "artifacts.json"
# The longest name that file systems take; Snakemake cuts its records' names there.
_LONGEST_NAME = 255


@dataclasses.dataclass(frozen=True)
class ArtifactStamp:
    """The note on an artifact: its SHA-256, and the time (s since the epoch) at which its job ended."""

    sha256: str
    ended: float | None = None


def made_artifacts(folder: Path = FOLDER) -> dict[str, ArtifactStamp]:
    """Return the note on every artifact; a damaged note counts as a missing one."""
    notes = records.read_record(folder / ARTIFACTS, dict) or {}
    made = {}
    for name, note in notes.items():
        if isinstance(note, str):  # the form of earlier versions
            note = {"sha256": note}
        with contextlib.suppress(TypeError):
            made[name] = ArtifactStamp(**note)
    return made


def recorded_end(path: Path, folder: Path = FOLDER) -> float | None:
    """Return the time at which Snakemake recorded that the job of an artifact ended."""
    record = records.read_record(record_of(path, folder / "snakemake"), {"endtime": records.NUMBER})
    return record and record["endtime"]


def record_of(path: Path, folder: Path) -> Path:
    """Return the path of Snakemake's record of an artifact: the artifact's path in base 64, cut into valid names."""
    name = base64.urlsafe_b64encode(str(path).encode()).decode()
    length = _LONGEST_NAME - 1
    *first, last = [name[start : start + length] for start in range(0, len(name), length)]
    return folder.joinpath(*(f"@{part}" for part in first), last)


def digest(path: Path, fingerprints: FileHashCache) -> str:
    """Return the SHA-256 of a file, or of a folder: the names and contents of everything in it."""
    if path.is_file():
        return fingerprints.sha256(path)
    entries = [entry for entry in path.rglob("*") if not _is_left_by_others(entry)]
    return fingerprints.of_many(sorted(entries), path)


def require_as_made(paths: Iterable[Path], folder: Path = FOLDER) -> None:
    """Raise SlipwayError if one of the artifacts that a workflow's job reads has changed since it was made.

    The job's own outputs are left out: Snakemake marks them as incomplete while it runs. Without any such output this
    is no job of a workflow. Artifacts that were made anew and have no note yet are left out, too.
    """
    paths = list(paths)
    outputs = {path for path in paths if record_of(path, folder / "incomplete").exists()}
    noted = made_artifacts(folder) if outputs else {}
    for path in paths:
        made = noted.get(str(path))
        if made is None or path in outputs or not path.exists() or made.ended != recorded_end(path, folder):
            continue
        now = digest(path, FileHashCache())
        if now != made.sha256:
            _show_a_change(path)
            raise SlipwayError(
                f"{path} is no longer what was made (SHA-256 {made.sha256[:8]}.. -> {now[:8]}..): it was edited or "
                "damaged; run snakemake again, which makes it anew"
            )


def _show_a_change(path: Path) -> None:
    """Renew the ctime of an artifact, so that planning reads it again although a disk's damage left all times."""
    for file in [path, *path.rglob("*")]:
        with contextlib.suppress(OSError):
            status = file.stat()
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _is_left_by_others(entry: Path) -> bool:
    """Say whether a file in an artifact's folder is Snakemake's time stamp or bytecode, and no part of it."""
    return entry.name in (".snakemake_timestamp", "__pycache__") or entry.parent.name == "__pycache__"
