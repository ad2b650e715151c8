"""Show why jobs failed: repeat the error of each job in the run's last lines, and report a lack of memory at once."""

import contextlib
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

# The messages of Slurm's daemons and the kernel in the log of a job that exceeded its requested memory.
_OUT_OF_MEMORY = re.compile(r"exceeded (?:job )?memory limit|oom[-_ ]kill|out of memory|OUT_OF_ME", re.IGNORECASE)
_END_OF_LOG = 100_000
# Snakemake's messages about an output that did not exist before the run, so that nothing was lost, and about a dry run
# beside another run, which `run_lock` reports.
_MISLEADING = re.compile(
    r"Cannot restore .*: no backup found\.|Error: Directory cannot be locked\. Another Snakemake instance is running\.",
    re.DOTALL,
)


class FailedJobs:
    """A filter of Snakemake's log that repeats the errors of failed jobs in the last message of a run.

    It also drops messages that seem to be errors, but are not. `workflow` is Snakemake's workflow. After `run_ended` is
    set, the next error is the last message.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self._started = time.time()
        # {id of a failed job: its error}
        self._errors: dict[int, str] = {}
        self.run_ended = False

    def filter(self, record: Any) -> bool:
        """Store the errors of failed jobs, and append them to the last message. Return False to drop a message.

        `record` is a message of Snakemake's log, a LogRecord with the attributes of Snakemake's events.
        """
        event = getattr(record, "event", None)
        if event is LogEvent.GROUP_ERROR:
            self._advise([info["jobid"] for info in record.job_error_info], record.aux_logs)
        elif event is LogEvent.JOB_ERROR:
            self._errors[record.jobid] = self._error(record)
        elif event is LogEvent.JOB_FINISHED:
            self._errors.pop(record.job_id, None)  # another attempt succeeded
        elif event is LogEvent.ERROR and self.run_ended:
            record.msg = "\n".join(filter(None, [str(record.msg), *self._errors.values()]))
        return not _MISLEADING.fullmatch(str(record.msg))

    def _error(self, record: Any) -> str:
        """Return the text about a failed job: the names of its rule and log, and its error; or advice about memory.

        `record` is Snakemake's log message about the failure. If the job's log has no error, the text refers to the
        log. Returns "" for a job without a log, and for a job of a failed group whose log has no error.
        """
        advice = self._advise([record.jobid], record.log)
        log = next(iter(record.log), None)  # the rule's log is the first; logs of the cluster follow
        if log and (error := _own_error(Path(log), self._started)):
            return f"{record.rule_name} failed ({log}):\n{error}"
        if advice or record.indent or not log:  # Snakemake reports all jobs of a failed group, also successful ones
            return advice or ""
        return f"{record.rule_name} failed without an error of its own; look into {log}"

    def _advise(self, jobids: list[int], logs: Iterable[str]) -> str | None:
        """If `logs` show that jobs exceeded their requested memory, log advice and return it; else return None.

        `jobids` are Snakemake's numbers of these jobs.
        """
        if not any(_OUT_OF_MEMORY.search(_end(Path(log))) for log in logs):
            return None
        jobs = [job for job in self._workflow.dag.jobs if job.jobid in jobids]
        rules = ", ".join(sorted({job.rule.name for job in jobs}))
        requested_mb = max((mb for job in jobs if isinstance(mb := job.resources.get("mem_mb"), int)), default=None)
        had = f" of {requested_mb} MB" if requested_mb else ""
        advice = f"{rules} ran out of its memory{had}; raise `mem_mb` of it under `set-resources` in the profile"
        logger.error(advice)
        return advice


def _own_error(log: Path, since: float) -> str | None:
    """Return the end of a log from its last line `error: ...` on; None if the log has no such line.

    Returns None, too, if the log was last written before `since` (s since the epoch).
    """
    if not log.is_file() or log.stat().st_mtime < since:
        return None
    _, marker, error = f"\n{_end(log)}".rpartition("\nerror: ")
    return f"error: {error.rstrip()}" if marker else None


def _end(log: Path) -> str:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _END_OF_LOG))
        return file.read().decode(errors="replace")
    return ""
