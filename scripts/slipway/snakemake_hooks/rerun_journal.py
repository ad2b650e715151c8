"""In the log of Snakemake, explain in words why each job runs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from slipway.core.errors import listed
from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks import rerun_reasons

# A reason names at most this many files of a job, and gives the number of further files.
NAMED = 2


@dataclass
class RerunJournal:
    """A filter of Snakemake's log that explains in words why each announced job runs. The filter drops no message.

    `workflow` is Snakemake's workflow. `changed`: {edited artifact: (SHA-256 when made, SHA-256 now)}. `incomplete`:
    the other artifacts that were marked as incomplete before this run. `remember` stores the stamps (SHA-256) of a
    finished job's artifacts.
    """

    workflow: Any
    file_hashes: FileHashCache
    changed: dict[str, tuple[str, str]]
    incomplete: set[str]
    remember: Callable[[Iterable[str]], None]
    _jobs: dict[int, Any] = field(default_factory=dict)

    def filter(self, record: Any) -> bool:
        """Replace the reason of an announced job, and store the stamps of a finished job. Always return True.

        `record` is a message of Snakemake's log, a LogRecord with the attributes of Snakemake's events.
        """
        event = getattr(record, "event", None)
        if event is LogEvent.JOB_INFO:
            job = self._job(record.jobid)
            record.reason = self.why(job) if job else record.reason
        elif event is LogEvent.JOB_FINISHED:
            job = self._job(record.job_id)
            self.remember(job.output if job else [])
        return True

    def why(self, job: Any) -> str:
        """Return in words why Snakemake's `job` has to run; several reasons are separated by "; "."""
        reason = self.workflow.dag.reason(job)
        return "; ".join(self._words(job, reason)) or str(reason)

    def _words(self, job: Any, reason: Any) -> Iterator[str]:
        outputs = list(map(str, job.output))
        changed = [name for name in outputs if name in self.changed]
        # A rollback rewrites every receipt, even if it does not change the model.
        yield from rerun_reasons.of_rollback(changed) or [
            f"{rerun_reasons.of_content(name, *self.changed[name])}, edited or truncated since it was made"
            for name in changed
        ]
        # Snakemake's own reason is only "forced".
        if reason.forced and (left := self.incomplete.intersection(outputs)):
            yield f"{listed(sorted(left), NAMED)} left by a run that failed or was killed"
        if reason.missing_output:
            yield f"{listed(sorted(map(str, reason.missing_output)), NAMED)} missing"
        for file in sorted(map(str, reason.updated_input - reason.updated_input_run)):
            before = next(iter(self.workflow.persistence.input_checksums(job, file)), None)
            # A file in remote storage has no copy here.
            yield rerun_reasons.of_content(
                file, before, self.file_hashes.sha256(file) if Path(file).is_file() else None
            )
        dag = self.workflow.dag
        makers = {maker.rule.name for maker in dag.dependencies[job] if dag.needrun(maker)}
        if makers and reason.updated_input_run:
            yield f"after {', '.join(sorted(makers))}"
        if reason.params_changed:
            yield from rerun_reasons.of_settings(reason.params_changed.only_old, reason.params_changed.only_new)
        if reason.input_changed:
            yield "made from other files than before"
        if reason.code_changed:
            yield f"the command of rule {job.rule.name} edited"

    def _job(self, jobid: int) -> Any:
        if jobid not in self._jobs:
            self._jobs = {job.jobid: job for job in self.workflow.dag.jobs}
        return self._jobs.get(jobid)
