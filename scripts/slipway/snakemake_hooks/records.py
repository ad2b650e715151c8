"""The records of each artifact: Snakemake's record of its inputs, and the SHA-256 that it had when it was made.

Both lie with the artifacts, in results/.provenance/, and go where the results go: a lost .snakemake/ forgets nothing,
and a copy of the results on another machine is as fresh as the original.
"""

import base64
import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from slipway.core import records
from slipway.core.artifact_stamps import (
    ARTIFACTS,
    FOLDER,
    ArtifactStamp,
    digest,
    made_artifacts,
    record_of,
    recorded_end,
)
from slipway.core.artifacts import make_folder, remove, write_json
from slipway.keys.file_hash_cache import FileHashCache

SNAKEMAKE = Path(".snakemake")
# The mark of an artifact that has to be made again because it changed.
EDITED = "edited"


def keep_records_with_results(folder: Path = FOLDER, snakemake: Path = SNAKEMAKE) -> None:
    """Make Snakemake's records of artifacts, and its marks of incomplete ones, lie in `folder`, by links to there."""
    make_folder(snakemake)
    _keep(snakemake / "metadata", folder / "snakemake")
    _keep(snakemake / "incomplete", folder / "incomplete")
    mark_damaged(folder)


def mark_damaged(folder: Path = FOLDER) -> None:
    """Remove Snakemake's damaged records, and mark their artifacts, of which nothing is known, as incomplete.

    Snakemake treats a record of noise as none, so nothing would be stale, and a record of `null` stops every run.
    """
    known, marks = folder / "snakemake", folder / "incomplete"
    damaged = {path.relative_to(root) for root in (known, marks) for path in root.rglob("*") if _is_damaged(path)}
    for name in damaged:
        if any(parent in damaged for parent in name.parents):
            continue
        remove(known / name)
        write_json(marks / name, {"external_jobid": None})


def _is_damaged(path: Path) -> bool:
    """Say whether neither a record of Snakemake's lies there nor the folder of those of a long path."""
    if path.is_dir():
        return not path.name.startswith("@")
    return path.exists() and not path.name.startswith(".") and records.read_record(path, dict) is None


def _keep(link: Path, kept: Path) -> None:
    """Make `link` a link to the folder `kept`, with what it held as a folder."""
    make_folder(kept)
    if link.is_symlink() and link.resolve() == kept.resolve():
        return
    if link.is_symlink():
        link.unlink()
    elif link.is_dir():
        for record in link.iterdir():
            shutil.move(record, kept / record.name)
        link.rmdir()
    else:
        remove(link)
    link.symlink_to(os.path.relpath(kept, link.parent.resolve()))


class ArtifactRecords:
    """The SHA-256 that each artifact had when it was made, and which of them are no longer what was made.

    With the SHA-256 is noted which making it is of: the time at which Snakemake recorded that the job ended.
    """

    def __init__(self, fingerprints: FileHashCache, folder: Path = FOLDER) -> None:
        self._fingerprints = fingerprints
        self._folder = folder
        self._made = made_artifacts(folder)
        self._made_anew: list[str] = []

    def changed(self) -> dict[str, tuple[str, str]]:
        """Return {artifact: (SHA-256 when it was made, SHA-256 now)} of artifacts that were edited or truncated since.

        An artifact that a killed run made anew does not count, although its SHA-256 is not noted here.
        """
        found = {}
        for name, made in self._made.items():
            path = Path(name)
            if not path.exists():
                continue
            now = self.digest(path)
            if now == made.sha256:
                continue
            if self._made_by_a_killed_run(path):
                self._made_anew.append(name)
            else:
                found[name] = (made.sha256, now)
        return found

    def remember(self, names: Iterable[str]) -> None:
        """Note the SHA-256 of artifacts that were just made."""
        known = dict(self._made)
        for name in map(str, names):
            if (path := Path(name)).exists():
                known[name] = ArtifactStamp(self.digest(path), recorded_end(path, self._folder))
        if known != self._made:
            self._made = known
            write_json(self._folder / ARTIFACTS, {name: dataclasses.asdict(made) for name, made in known.items()})

    def remember_what_a_killed_run_made(self) -> None:
        """Note the SHA-256 of the artifacts that a killed run made anew (see `changed`), so that later edits show."""
        self.remember(self._made_anew)

    def forgotten(self, names: Iterable[str]) -> list[str]:
        """Return the artifacts that are whole, but that a killed run had not noted yet."""
        unknown = [name for name in map(str, names) if name not in self._made and Path(name).exists()]
        return [name for name in unknown if self._made_by_a_killed_run(Path(name))]

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file, or of a folder: the names and contents of everything in it."""
        return digest(path, self._fingerprints)

    def _made_by_a_killed_run(self, path: Path) -> bool:
        """Say whether Snakemake recorded a later job than the noted one, and the artifact was not touched since."""
        ended, noted = recorded_end(path, self._folder), self._made.get(str(path))
        if ended is None or (noted and noted.ended == ended):
            return False
        stamp = stamp_of(path)
        return stamp.exists() and abs(stamp.stat().st_mtime - ended) < 1e-6


def stamp_of(path: Path) -> Path:
    """Return the file whose time of change Snakemake takes for the artifact's."""
    return path / ".snakemake_timestamp" if path.is_dir() else path


def mark_incomplete(names: Iterable[str], folder: Path = FOLDER) -> None:
    """Mark artifacts as Snakemake marks those of a job that was killed, so that it makes them again.

    What was marked so before and is no longer named, since somebody put the artifact back, is unmarked.
    """
    marks = folder / "incomplete"
    wanted = {record_of(Path(name), marks) for name in names}
    for marker in marks.rglob("*"):
        if marker not in wanted and read_record(marker).get("reason") == EDITED:
            marker.unlink()
    for marker in wanted:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({"external_jobid": None, "reason": EDITED}), encoding="utf-8")


def submitted(folder: Path = FOLDER) -> set[str]:
    """Return a cluster's own names of the jobs that had been handed to it for artifacts which are marked."""
    marks = map(read_record, (folder / "incomplete").rglob("*"))
    return {str(mark["external_jobid"]) for mark in marks if mark.get("external_jobid")}


def incomplete(folder: Path = FOLDER) -> set[str]:
    """Return the artifacts that are marked: those of a run that failed or was killed, and those that were edited."""
    marks = folder / "incomplete"
    keys = ("".join(part.lstrip("@") for part in mark.relative_to(marks).parts) for mark in marks.rglob("*"))
    names = set()
    for key in keys:
        with contextlib.suppress(ValueError):  # the folder that the mark of a long path lies in, or no mark
            names.add(base64.urlsafe_b64decode(key).decode())
    return names


def read_record(path: Path) -> dict:
    """Return a record; an empty one where there is none, or where what lies there is no record."""
    return records.read_record(path, dict) or {}
