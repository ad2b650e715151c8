"""Find whether a run's line is still in its history. Planning imports this module."""

from pathlib import Path

from slipway.core.records import read_record


def recording_number(record: Path, history: Path) -> int:
    """Return the number that the key of rule `record_run` contains. `record` is the copy of the last run's line.

    The number stays the same while `history` has the line. Once the line is gone, the number is one higher. So the copy
    is stale, and Snakemake records the run again.
    """
    last = read_record(record, {"recording": int, "line": {"key": str}})
    if last is None:
        return 1
    kept = history.is_file() and last["line"]["key"] in history.read_text(encoding="utf-8", errors="replace")
    return last["recording"] if kept else last["recording"] + 1
