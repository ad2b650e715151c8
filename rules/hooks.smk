# What is known of the artifacts from earlier runs: it stays with them, finds those that were edited, and says in words
# why a job runs. Only the process that plans needs it, not those that run jobs elsewhere.
import atexit
import shutil

from slipway.snakemake_hooks import surviving_jobs
from slipway.snakemake_hooks.attempts import Attempts
from slipway.snakemake_hooks.rerun_journal import RerunJournal
from slipway.snakemake_hooks.read_only_commands import only_looks
from slipway.snakemake_hooks.records import (
    ArtifactRecords,
    incomplete,
    keep_records_with_results,
    mark_incomplete,
    submitted,
)
from slipway.snakemake_hooks.run_lock import PATIENCE_S, RunLock

# Their jobs change more than their outputs: a server, or what a cluster runs.
ACTING = ("deploy_local", "deploy_remote")


def work_alone():
    """Take the folder's lock, stop when another workflow has it; return what was edited since it was made."""
    if not run_lock.take(PATIENCE_S):
        raise WorkflowError(f"another snakemake works in this folder ({run_lock.holder()}); wait for it, or stop it")
    if run_lock.caution():
        logger.warning(run_lock.caution())
    with told_in_a_sentence():
        for program in surviving_jobs.end(jobs_of_killed_run()):
            logger.warning(f"{program} had outlived its snakemake, which was killed, and was ended before this run")
    if run_lock.killed_run and submitted():
        logger.warning(
            f"a run that was killed had submitted the jobs {', '.join(sorted(submitted()))}: cancel those that still "
            "run, or they write over what this run makes"
        )
    run_lock.work()
    atexit.register(run_lock.end)
    surviving_jobs.mark_programs_of(run_lock.run)
    return put_in_order()


def look_on():
    """Return what was edited since it was made, beside whoever works in this folder, and in nobody's way."""
    if not run_lock.take():
        logger.info(f"Another snakemake works in this folder ({run_lock.holder()}); things are shown as they are now.")
        return artifacts.changed()
    if jobs_of_killed_run() or run_lock.caution():
        edited = artifacts.changed()
        mark_incomplete(edited)
    else:
        edited = put_in_order()
    run_lock.give_back()
    return edited


def jobs_of_killed_run():
    """Return the programs that outlived the last run, if it was killed."""
    return surviving_jobs.programs_of(run_lock.killed_run, Path(workflow.basedir) / "scripts")


def put_in_order():
    """Settle what an earlier run left half done, and mark what was edited since it was made."""
    try:
        keep_records_with_results()
        attempts.settle()
        edited = artifacts.changed()
        artifacts.remember_what_a_killed_run_made()
        mark_incomplete(edited)
    except OSError as error:
        raise WorkflowError(
            f"results/ does not take the records of what is made ({error}); free some space there"
        ) from None
    return edited


def remember(files):
    """Note the artifacts that were made just now."""
    try:
        artifacts.remember([] if looking else files)
    except OSError as error:
        logger.warning(f"what was made could not be noted ({error}); edits of it by hand will not be found")


def settle():
    """Note what was made and what a killed run could not note, and leave what a failed job was to replace as it was."""
    try:
        attempts.settle(workflow.dag.finished_jobs)
    except OSError as error:
        logger.warning(f"what failed jobs were to replace could not be settled ({error}); the next run does")
    finished = [file for job in workflow.dag.finished_jobs for file in job.output]
    remember([*finished, *artifacts.forgotten(file for job in workflow.dag.jobs for file in job.output)])


if workflow.is_main_process:
    run_lock = RunLock()
    artifacts = ArtifactRecords(file_hashes)
    attempts = Attempts(artifacts.digest, ACTING)
    looking = workflow.output_settings.dryrun or only_looks(sys.argv)
    edited = look_on() if looking else work_alone()
    logger.addFilter(RerunJournal(workflow, file_hashes, edited, incomplete(), remember))
    atexit.register(file_hashes.save)


onstart:
    if workflow.non_local_exec:
        require_declared_targets()
    if not looking:
        # A run that was killed may have left copies of what it was replacing, which Snakemake would not overwrite.
        shutil.rmtree(".snakemake/backups", ignore_errors=True)
        attempts.begin(workflow.dag)


onsuccess:
    if not looking:
        settle()


onerror:
    if not looking:
        settle()
