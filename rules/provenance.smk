# What is known of the artifacts from earlier runs: it stays with them, finds those that were edited, and says in words
# why a job runs. Only the process that plans needs it, not those that run jobs elsewhere.
import atexit
import shutil

from slipway.planning.journal import Journal
from slipway.planning.provenance import Artifacts, incomplete, keep_records_with_results, mark_incomplete
from slipway.planning.run_lock import RunLock


def work_alone():
    """Take the folder's lock, but for a dry run, which may look on; stop when another workflow has it."""
    lock = RunLock()
    if not workflow.output_settings.dryrun and not lock.take():
        raise WorkflowError(f"another snakemake works in this folder ({lock.holder()}); wait for it, or stop it")
    if lock.caution():
        logger.warning(lock.caution())
    return lock


def remember_what_was_made():
    """Note what was made just now, and what a killed run had made before it could be noted."""
    finished = [file for job in workflow.dag.finished_jobs for file in job.output]
    left = artifacts.forgotten(file for job in workflow.dag.jobs for file in job.output)
    try:
        artifacts.remember([*finished, *left])
    except OSError as error:
        logger.warning(f"what was made could not be noted ({error}); edits of it by hand will not be found")


if workflow.is_main_process:
    run_lock = work_alone()
    try:
        keep_records_with_results()
    except OSError as error:
        raise WorkflowError(
            f"results/ does not take the records of what is made ({error}); free some space there"
        ) from None
    artifacts = Artifacts(fingerprints)
    edited = artifacts.changed()
    artifacts.remember_what_a_killed_run_made()
    mark_incomplete(edited)
    logger.addFilter(Journal(workflow, fingerprints, edited, incomplete()))
    atexit.register(fingerprints.save)


onstart:
    if workflow.non_local_exec:
        require_declared_targets()
    # A run that was killed may have left copies of what it was replacing, which Snakemake would not overwrite.
    shutil.rmtree(".snakemake/backups", ignore_errors=True)


onsuccess:
    remember_what_was_made()


onerror:
    remember_what_was_made()
    # Snakemake puts back what a failed job was to replace, but then takes it for new; it is to be made again.
    for job in workflow.scheduler.failed:
        workflow.persistence.started(job)
