"""Why Snakemake runs a job, put into words where it announces the job."""

import logging
from collections.abc import Iterable
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from slipway import reasons
from slipway.fingerprints import Fingerprints

# So many of a job's files are named in a reason; of more, the number is told.
NAMED = 2


class Journal(logging.Filter):
    """A filter of Snakemake's log that lets everything pass, and rewrites the reason of each job that is announced.

    `workflow` is Snakemake's; `changed` are the artifacts that were edited since they were made (Artifacts.changed).
    """

    def __init__(self, workflow: Any, fingerprints: Fingerprints, changed: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self._workflow = workflow
        self._fingerprints = fingerprints
        self._changed = changed
        self._jobs: dict[int, Any] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the reason of an announced job into words; pass on everything."""
        if getattr(record, "event", None) is LogEvent.JOB_INFO:
            job = self._job(record.jobid)
            record.reason = self.why(job) if job else record.reason
        return True

    def why(self, job: Any) -> str:
        """Return in words why a job has to run."""
        reason = self._workflow.dag.reason(job)
        words = [
            *self._edited(job),
            *_not_there(reason),
            *self._other_content(job, reason),
            *self._upstream(job, reason),
        ]
        if reason.params_changed:
            words += reasons.of_settings(reason.params_changed.only_old, reason.params_changed.only_new)
        if reason.input_changed:
            words.append("made from other files than before")
        if reason.code_changed:
            words.append(f"the command of rule {job.rule.name} edited")
        return "; ".join(words) or str(reason)

    def _job(self, jobid: int) -> Any:
        if jobid not in self._jobs:
            self._jobs = {job.jobid: job for job in self._workflow.dag.jobs}
        return self._jobs.get(jobid)

    def _edited(self, job: Any) -> list[str]:
        return [
            f"{reasons.of_content(name, *self._changed[name])}, edited or truncated since it was made"
            for name in map(str, job.output)
            if name in self._changed
        ]

    def _other_content(self, job: Any, reason: Any) -> list[str]:
        words = []
        for file in sorted(map(str, reason.updated_input - reason.updated_input_run)):
            before = next(iter(self._workflow.persistence.input_checksums(job, file)), None)
            words.append(reasons.of_content(file, before, self._fingerprints.sha256(file)))
        return words

    def _upstream(self, job: Any, reason: Any) -> list[str]:
        dag = self._workflow.dag
        makers = {maker.rule.name for maker in dag.dependencies[job] if dag.needrun(maker)}
        return [f"after {', '.join(sorted(makers))}"] if makers and reason.updated_input_run else []


def _not_there(reason: Any) -> list[str]:
    words = []
    if reason.missing_output:
        words.append(f"{_listed(reason.missing_output)} missing")
    if reason.incomplete_output:
        words.append(f"{_listed(reason.incomplete_output)} left by a run that was killed")
    return words


def _listed(files: Iterable) -> str:
    names = sorted(map(str, files))
    others = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {others} more" if others > 0 else "")
