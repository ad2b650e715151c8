"""Find whether a run's line is still in its history, for planning, which records the run again if the line is lost."""

from pathlib import Path

from slipway.core.records import read_record


def recording_number(record: Path, history: Path) -> int:
    """Return a number in the key of rule `record_run`, so that Snakemake records a run again if its line is lost.

    `record` is results/<model>/run.json, the copy of the last run's line. `history` is results/<model>/history.jsonl.
    While the history has the line, the number stays the same. Once the line is gone, the number is one higher, so the
    rule's job runs again. Without a copy, the number is 1.
    """
    last = read_record(record, {"recording": int, "line": {"key": str}})
    if last is None:
        return 1
    kept = history.is_file() and last["line"]["key"] in history.read_text(encoding="utf-8", errors="replace")
    return last["recording"] if kept else last["recording"] + 1
