"""The two records of each artifact, with which stale and edited artifacts are found.

They are Snakemake's record of its inputs and params, and a stamp: its SHA-256 at the end of its job. Both are stored
with the results, in results/.provenance/. So nothing becomes stale if .snakemake/ is lost, or if the results are copied
to another machine.
"""

import json
import os
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from slipway.core import records
from slipway.core.artifacts import make_folder, remove, write_json
from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks import artifact_stamps, layout
from slipway.snakemake_hooks.artifact_stamps import ARTIFACTS, read_stamps, recorded_end
from slipway.snakemake_hooks.layout import KEPT_MARKS, KEPT_RECORDS, SNAKEMAKE, artifact_of, incomplete_mark, stamp_of

# The reason in the mark of an artifact that must be made again because it was edited.
EDITED = "edited"


def keep_records_with_results() -> None:
    """Store Snakemake's records and marks of artifacts beside the results: replace their folders by symbolic links.

    Remove damaged records, and mark their artifacts as incomplete. Otherwise Snakemake would ignore a record of random
    bytes, and its artifact would never be stale. A record of `null` would stop every run.
    """
    make_folder(SNAKEMAKE)
    _keep(SNAKEMAKE / layout.RECORDS, KEPT_RECORDS)
    _keep(SNAKEMAKE / layout.MARKS, KEPT_MARKS)
    roots = (KEPT_RECORDS, KEPT_MARKS)
    damaged = {path.relative_to(root) for root in roots for path in root.rglob("*") if _is_damaged(path)}
    for name in damaged:
        if damaged.isdisjoint(name.parents):
            remove(KEPT_RECORDS / name)
            remove(KEPT_MARKS / name)
            restore_record(KEPT_MARKS / name, {"external_jobid": None})


def _is_damaged(path: Path) -> bool:
    """Return whether a path in a folder of records is a damaged record, or a folder that Snakemake did not make."""
    if path.is_dir():
        return not path.name.startswith("@")
    return path.exists() and not path.name.startswith(".") and records.read_record(path, dict) is None


def _keep(link: Path, kept: Path) -> None:
    """Make `link` a symbolic link to the folder `kept`. If `link` is a folder, first move its files into `kept`."""
    make_folder(kept)
    if link.is_symlink() and link.resolve() == kept.resolve():
        return
    if link.is_dir() and not link.is_symlink():
        for record in link.iterdir():
            shutil.move(record, kept / record.name)
    remove(link)
    link.symlink_to(os.path.relpath(kept, link.parent.resolve()))


class ArtifactRecords:
    """The stamps of all artifacts, which show the artifacts that have changed since their jobs made them.

    A stamp has the SHA-256 of the artifact, and the recorded end of its job, which identifies the job.
    """

    def __init__(self, file_hashes: FileHashCache) -> None:
        # The SHA-256 of a file, or of a folder: the names and contents of all its files.
        self.digest = partial(artifact_stamps.digest, file_hashes=file_hashes)
        self._made = read_stamps()
        # The artifacts that a killed run made again. The method `changed` adds them.
        self.made_anew: list[str] = []

    def changed(self) -> dict[str, tuple[str, str]]:
        """Return {artifact: (SHA-256 when made, SHA-256 now)} of the artifacts that were edited or truncated.

        If a killed run made an artifact again, the artifact is right and its stamp is outdated. Then it is added to
        `made_anew` instead.
        """
        edited = {}
        for name, stamp in self._made.items():
            path = Path(name)
            if path.exists() and (now := self.digest(path)) != stamp["sha256"]:
                if self._made_by_a_killed_run(path):
                    self.made_anew.append(name)
                else:
                    edited[name] = (stamp["sha256"], now)
        return edited

    def remember(self, names: Iterable[str]) -> None:
        """Store the stamps (SHA-256 and end of the job) of new artifacts.

        `names` are their paths; paths that do not exist are left out.
        """
        paths = {str(name): Path(name) for name in names if Path(name).exists()}
        stamps = {name: {"sha256": self.digest(path), "ended": recorded_end(path)} for name, path in paths.items()}
        if self._made | stamps != self._made:
            self._made |= stamps
            write_json(ARTIFACTS, self._made)

    def forgotten(self, names: Iterable[str]) -> list[str]:
        """Return those of the paths `names` that are complete artifacts whose stamp a killed run did not store."""
        unknown = {str(name): Path(name) for name in names if str(name) not in self._made}
        return [name for name, path in unknown.items() if path.exists() and self._made_by_a_killed_run(path)]

    def _made_by_a_killed_run(self, path: Path) -> bool:
        """Return whether an artifact is the unchanged output of a job that ended later than its stamp says.

        Then a killed run made the artifact, and did not store its new stamp.
        """
        ended, stamp = recorded_end(path), self._made.get(str(path))
        if ended is None or (stamp and stamp["ended"] == ended):
            return False
        time_stamp = stamp_of(path)
        return time_stamp.exists() and abs(time_stamp.stat().st_mtime - ended) < 1e-6


def mark_incomplete(names: Iterable[str]) -> None:
    """Mark the edited artifacts `names` as incomplete, so that Snakemake makes them again, as after a killed job.

    Remove such marks from all other artifacts, for example from restored ones. Marks of killed jobs stay.
    """
    wanted = {incomplete_mark(Path(name)) for name in names}
    for marker in KEPT_MARKS.rglob("*"):
        if marker not in wanted and read_record(marker).get("reason") == EDITED:
            marker.unlink()
    for marker in wanted:
        restore_record(marker, {"external_jobid": None, "reason": EDITED})


def submitted() -> set[str]:
    """Return the cluster's ids of submitted jobs that may still run: their artifacts are marked as incomplete."""
    marks = map(read_record, KEPT_MARKS.rglob("*"))
    return {str(mark["external_jobid"]) for mark in marks if mark.get("external_jobid")}


def incomplete() -> set[str]:
    """Return the paths of artifacts marked as incomplete, by a failed or killed run or because they were edited."""
    names = (artifact_of(mark, KEPT_MARKS) for mark in KEPT_MARKS.rglob("*"))
    return {name for name in names if name is not None}


def read_record(path: Path) -> dict:
    """Return the content of a record or mark that Snakemake wrote about an artifact; {} if it is missing or damaged."""
    return records.read_record(path, dict) or {}


def restore_record(path: Path, content: dict) -> None:
    """Write `content` as Snakemake's record or mark of an artifact. If `content` is empty, remove the file."""
    if not content:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
