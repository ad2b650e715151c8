"""Update the records of artifacts in one run: clean up after earlier runs, and stamp this run's artifacts.

A stamp is the SHA-256 of an artifact when its job ended. With it, later edits are found.
"""

import atexit
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from slipway.core.os_errors import without_number
from slipway.keys.code_hash import SCRIPTS
from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks import surviving_jobs
from slipway.snakemake_hooks.attempts import Attempts
from slipway.snakemake_hooks.layout import BACKUPS, SNAKEMAKE
from slipway.snakemake_hooks.records import ArtifactRecords, keep_records_with_results, mark_incomplete, submitted
from slipway.snakemake_hooks.refusals import refused_by_snakemake
from slipway.snakemake_hooks.run_lock import PATIENCE_S, RunLock


class ArtifactTracking:
    """Finds edited artifacts at the start of a run, and stores the records of new artifacts at its end.

    `workflow` is Snakemake's workflow. `read_only`: the run changes nothing in the folder, such as a dry run.
    `file_hashes` is the cache of the files' hashes. `acting` are the names of the rules that change more than their
    outputs, such as a server.
    """

    def __init__(self, workflow: Any, read_only: bool, file_hashes: FileHashCache, acting: Sequence[str]) -> None:
        self._workflow = workflow
        self._read_only = read_only
        self._began = time.time()
        self._lock = RunLock()
        self._records = ArtifactRecords(file_hashes)
        self._attempts = Attempts(self._records.digest, acting)

    def open(self) -> dict[str, tuple[str, str]]:
        """Lock the folder for this run, and return {edited artifact: (SHA-256 when made, SHA-256 now)}.

        Raises WorkflowError if another workflow runs in this folder, or if the records cannot be written. If another
        workflow has the lock, a run that only reads continues without it.
        """
        return self._open_read_only() if self._read_only else self._open_exclusive()

    def begin(self) -> None:
        """Store the state of the artifacts that the planned jobs will replace, so that `settle` can restore them.

        A run that only reads stores nothing.
        """
        if self._read_only:
            return
        # A killed run may have left backup copies, which Snakemake would not overwrite.
        shutil.rmtree(SNAKEMAKE / BACKUPS, ignore_errors=True)
        self._attempts.begin(self._workflow.dag)

    def remember(self, files: Iterable[str]) -> None:
        """Store the stamps (SHA-256) of the new artifacts `files`. If they cannot be written, log a warning."""
        with _warned("what was made could not be noted", "edits of it by hand will not be found"):
            self._records.remember([] if self._read_only else files)

    def settle(self) -> None:
        """At the end of a run, store missing stamps (SHA-256) of artifacts, and restore the outputs of failed jobs."""
        if self._read_only:
            return
        dag = self._workflow.dag
        with _warned("what failed jobs were to replace could not be settled", "the next run does"):
            self._attempts.settle(dag.finished_jobs)
        finished = [file for job in dag.finished_jobs for file in job.output]
        forgotten = self._records.forgotten(file for job in dag.jobs for file in job.output)
        self.remember([*finished, *forgotten, *self._rewritten_pages()])

    def _rewritten_pages(self) -> list[str]:
        """Return the paths of report pages that changed in this run, also by a deployment, rollback or withdrawal."""
        pages = [*Path("results").glob("*/report.html"), Path("results/index.html")]
        return [str(page) for page in pages if page.exists() and page.stat().st_mtime >= self._began]

    def _open_exclusive(self) -> dict[str, tuple[str, str]]:
        """Take the folder's lock, end the programs of a killed run, and return the edited artifacts, as `open` does.

        Raises WorkflowError if another workflow has the lock.
        """
        lock = self._lock
        if not lock.take(PATIENCE_S):
            raise WorkflowError(f"another snakemake works in this folder ({lock.holder()}); wait for it, or stop it")
        if lock.caution:
            logger.warning(lock.caution)
        with refused_by_snakemake():
            for program in surviving_jobs.end(self._jobs_of_killed_run()):
                logger.warning(f"{program} had outlived its snakemake, which was killed, and was ended before this run")
        if lock.killed_run and (jobs := submitted()):
            logger.warning(
                f"a run that was killed had submitted the jobs {', '.join(sorted(jobs))}: cancel those that still run, "
                "or they write over what this run makes"
            )
        lock.work()
        atexit.register(lock.end)
        os.environ[surviving_jobs.VARIABLE] = lock.run  # marks every program that is started from now on
        return self._recover()

    def _open_read_only(self) -> dict[str, tuple[str, str]]:
        """Return the edited artifacts, as `open` does, without disturbing another run in this folder."""
        lock = self._lock
        if not lock.take():
            logger.info(f"Another snakemake works in this folder ({lock.holder()}); things are shown as they are now.")
            return self._records.changed()
        if self._jobs_of_killed_run() or lock.caution:
            edited = self._records.changed()
            mark_incomplete(edited)
        else:
            edited = self._recover()
        lock.give_back()
        return edited

    def _jobs_of_killed_run(self) -> list:
        # A workflow that takes this one as a module also has its own programs.
        folders = (SCRIPTS, Path(self._workflow.basedir) / "scripts")
        return surviving_jobs.programs_of(self._lock.killed_run, folders)

    def _recover(self) -> dict[str, tuple[str, str]]:
        """Complete the unfinished work of an earlier run, mark edited artifacts as incomplete, and return them.

        The result is that of `open`. Raises WorkflowError if the records cannot be written.
        """
        try:
            keep_records_with_results()
            self._attempts.settle()
            edited = self._records.changed()
            self._records.remember(self._records.made_anew)  # so that later edits are noticed
            mark_incomplete(edited)
        except OSError as error:
            reason = without_number(error)
            raise WorkflowError(
                f"results/ does not take the records of what is made ({reason}); free some space there"
            ) from None
        return edited


@contextmanager
def _warned(problem: str, consequence: str) -> Iterator[None]:
    """Context manager: if the block raises OSError, log a warning with `problem` and `consequence`, and go on."""
    try:
        yield
    except OSError as error:
        logger.warning(f"{problem} ({without_number(error)}); {consequence}")
