"""Protect artifacts while jobs replace them: a failed or killed job loses no artifact and makes nothing stale.

Snakemake copies an `update()` output before its job runs, and restores the copy if the job fails. But then Snakemake
records the restored file with the inputs of the failed job. About a killed job, Snakemake knows only that the job
began.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slipway.core import records
from slipway.core.artifacts import clear_up_after_a_kill, remove, write_json
from slipway.snakemake_hooks.layout import BACKUPS, FOLDER, SNAKEMAKE, incomplete_mark, snakemake_record, stamp_of
from slipway.snakemake_hooks.records import read_record, restore_record

# The parts of Snakemake's record of an artifact that decide whether the artifact is stale.
KEY = ("params", "code", "input", "input_checksums", "software_stack_hash", "conda_env")
STATE = {"sha256": str, "time_ns": (int, type(None)), "record": dict, "mark": dict}
ATTEMPTS = FOLDER / "attempts.json"
ATTEMPT = {"rule": str, "forced": bool, "outputs": {str: STATE}}


class Attempts:
    """The states of the jobs' outputs before a run, with which `settle` restores the outputs of failed and killed jobs.

    The states are stored in a file, in case this run is killed. `digest` returns the SHA-256 of an artifact. `acting`
    are the names of the rules that change more than their outputs, such as a server. If a job of such a rule is killed,
    the outputs do not show how far the job came, so the job runs again.
    """

    def __init__(self, digest: Callable[[Path], str], acting: Iterable[str]) -> None:
        self._digest = digest
        self._acting = set(acting)

    def begin(self, dag: Any) -> None:
        """Store the state of the existing outputs of each job that will run, in a file. `dag` is Snakemake's DAG."""
        attempts = []
        for job in dag.needrun_jobs():
            outputs = {str(file): self._state(Path(file)) for file in job.output if Path(file).exists()}
            if outputs:
                attempts.append({"rule": job.rule.name, "forced": bool(dag.reason(job).forced), "outputs": outputs})
        write_json(ATTEMPTS, attempts)

    def settle(self, finished: Iterable[Any] = ()) -> None:
        """Restore the outputs of each job that failed or was killed. `finished` are the jobs that succeeded.

        If such a job had been forced by the user, its outputs are also marked as incomplete: its key has not changed,
        so only this mark lets the job run again.
        """
        made = {str(file) for job in finished for file in job.output}
        for attempt in records.read_record(ATTEMPTS, [ATTEMPT]) or []:
            if made.isdisjoint(attempt["outputs"]):
                self._settle(attempt)
        remove(ATTEMPTS)

    def _state(self, path: Path) -> dict:
        """Return the state of an artifact, with which it can be restored: {"sha256", "time_ns", "record", "mark"}.

        "time_ns" is its modification time in ns, None if it has none. "record" is Snakemake's record of it, and "mark"
        is Snakemake's mark of it as incomplete, {} if it is complete.
        """
        return {
            "sha256": self._digest(path),
            "time_ns": stamp_of(path).stat().st_mtime_ns if stamp_of(path).exists() else None,
            "record": read_record(snakemake_record(path)),
            "mark": read_record(incomplete_mark(path)),
        }

    def _settle(self, attempt: dict) -> None:
        outputs = {Path(name): state for name, state in attempt["outputs"].items()}
        killed = any(incomplete_mark(path).exists() and not state["mark"] for path, state in outputs.items())
        if killed and attempt["rule"] in self._acting:
            return
        for path, state in outputs.items():
            self._put_back(path, state)
        if not all(self._is(path, state) for path, state in outputs.items()):
            return  # made again, or changed by a killed job without a copy: it stays marked
        again = attempt["forced"] if killed else any(self._has_key(path, state) for path, state in outputs.items())
        for path, state in outputs.items():
            restore_record(snakemake_record(path), state["record"])
            restore_record(incomplete_mark(path), state["mark"] or ({"external_jobid": None} if again else {}))
            if state["time_ns"] is not None and stamp_of(path).exists():
                os.utime(stamp_of(path), ns=(state["time_ns"], state["time_ns"]))

    def _put_back(self, path: Path, state: dict) -> None:
        """Restore an output from Snakemake's backup copy, if a killed job changed the output.

        `state` is the state before the job, as `_state` returns it. Only a copy in this state is used.
        """
        if not incomplete_mark(path).exists():
            return
        clear_up_after_a_kill(path)
        copy = SNAKEMAKE / BACKUPS / path
        if self._is(path, state) or not self._is(copy, state):
            return
        if path.is_dir():
            shutil.rmtree(path)
        copy.replace(path)

    def _is(self, path: Path, state: dict) -> bool:
        return path.exists() and self._digest(path) == state["sha256"]

    def _has_key(self, path: Path, state: dict) -> bool:
        """Return whether a failed attempt rewrote Snakemake's record of `path`, but with the same key (see KEY).

        `state` is the state before the attempt, as `_state` returns it.
        """
        before, after = state["record"], read_record(snakemake_record(path))
        return bool(before) and after != before and all(after.get(part) == before.get(part) for part in KEY)
