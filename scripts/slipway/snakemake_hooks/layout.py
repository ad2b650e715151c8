"""The names of Snakemake's own files: its folder, its records of artifacts, its marks of incomplete artifacts.

Jobs are keyed on this module, so it imports nothing of Slipway or Snakemake. A contract test compares it with the
installed Snakemake.
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
# If an artifact is a folder, its modification time is that of this file in the folder.
TIME_STAMP = ".snakemake_timestamp"
# The longest file name that file systems accept. Snakemake cuts longer names of its records into parts.
_LONGEST_NAME = 255


def record_of(path: Path, folder: Path) -> Path:
    """Return the path in `folder` of Snakemake's record of an artifact: its path in base 64, cut into valid names."""
    name = base64.urlsafe_b64encode(str(path).encode()).decode()
    length = _LONGEST_NAME - 1
    *first, last = [name[start : start + length] for start in range(0, len(name), length)]
    return folder.joinpath(*(f"@{part}" for part in first), last)


# Of a path: Snakemake's record of an artifact of this workflow, and its mark of an incomplete one.
snakemake_record = partial(record_of, folder=KEPT_RECORDS)
incomplete_mark = partial(record_of, folder=KEPT_MARKS)


def artifact_of(record: Path, folder: Path) -> str | None:
    """Return the path of the artifact that a record in `folder` belongs to; None if `record` is no record.

    For example, the folders that hold the record of a long path are no records.
    """
    name = "".join(part.lstrip("@") for part in record.relative_to(folder).parts)
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(name).decode()
    return None


def stamp_of(path: Path) -> Path:
    """Return the file whose modification time Snakemake takes for that of the artifact."""
    return path / TIME_STAMP if path.is_dir() else path
