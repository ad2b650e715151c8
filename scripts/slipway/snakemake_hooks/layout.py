"""The names of Snakemake's own files: its folder, its records of artifacts, its marks of incomplete artifacts.

This module's code is in the key of every job, so it imports nothing of Slipway or Snakemake. A contract test compares
it with the installed Snakemake.
"""

import base64
import contextlib
from functools import partial
from pathlib import Path

SNAKEMAKE = Path(".snakemake")
# The folders in .snakemake/.
RECORDS, MARKS, BACKUPS, LOCKS = "metadata", "incomplete", "backups", "locks"
# Snakemake's records and marks are kept beside the results. Links in .snakemake/ lead there.
FOLDER = Path("results/.provenance")
KEPT_RECORDS, KEPT_MARKS = FOLDER / "snakemake", FOLDER / MARKS
# Snakemake's file in an artifact that is a folder. The file's modification time counts as the artifact's.
TIME_STAMP = ".snakemake_timestamp"
# The longest file name that file systems accept. Snakemake cuts longer names of its records into parts.
_LONGEST_NAME = 255


def record_of(path: Path, folder: Path) -> Path:
    """Return the path of Snakemake's record of an artifact in `folder`: its name is the artifact's path in base 64.

    If this name is too long for a file, it is cut into several folder names.
    """
    name = base64.urlsafe_b64encode(str(path).encode()).decode()
    length = _LONGEST_NAME - 1
    *first, last = [name[start : start + length] for start in range(0, len(name), length)]
    return folder.joinpath(*(f"@{part}" for part in first), last)


# Functions of an artifact's path: the paths of Snakemake's record of it, and of its mark as incomplete.
snakemake_record = partial(record_of, folder=KEPT_RECORDS)
incomplete_mark = partial(record_of, folder=KEPT_MARKS)


def artifact_of(record: Path, folder: Path) -> str | None:
    """Return the path of the artifact that a record in `folder` belongs to; None if `record` is no record.

    This is the reverse of `record_of`. A folder that has only a part of a long name is no record.
    """
    name = "".join(part.lstrip("@") for part in record.relative_to(folder).parts)
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(name).decode()
    return None


def stamp_of(path: Path) -> Path:
    """Return the file whose modification time Snakemake uses as an artifact's time.

    For an artifact that is a folder, it is a file in the folder; otherwise it is the artifact.
    """
    return path / TIME_STAMP if path.is_dir() else path
