import logging
import os
from types import SimpleNamespace

import pytest
from snakemake.logging import logger
from snakemake.persistence import FileBackupMixin, PersistenceBase
from snakemake_interface_logger_plugins.common import LogEvent

from slipway.snakemake_hooks.failed_jobs import FailedJobs

LAST = "At least one job did not complete successfully."


class Run:
    """A run whose jobs benchmark (1) and load_test (2) have logs in a folder."""

    def __init__(self, folder):
        self.logs = {jobid: folder / f"{name}.log" for jobid, name in enumerate(["benchmark", "load_test"], 1)}
        jobs = [
            SimpleNamespace(
                jobid=jobid, log=[str(log)], resources={"mem_mb": 8000}, rule=SimpleNamespace(name=log.stem)
            )
            for jobid, log in self.logs.items()
        ]
        self.failed_jobs = FailedJobs(SimpleNamespace(dag=SimpleNamespace(jobs=jobs)))

    def log(self, event, **attributes):
        record = logging.makeLogRecord({"msg": LAST, "event": event, **attributes})
        assert self.failed_jobs.filter(record)
        return record.msg.splitlines()

    def fail(self, jobid, indent=False, *cluster_logs):
        log = self.logs[jobid]
        logs = [str(log), *map(str, cluster_logs)]
        self.log(LogEvent.JOB_ERROR, jobid=jobid, rule_name=log.stem, indent=indent, log=logs)

    def last_lines(self):
        self.failed_jobs.run_ended = True
        first, *others = self.log(LogEvent.ERROR)
        assert first == LAST
        return others


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_run_ends_with_the_error_of_each_job_that_failed(run):
    run.logs[1].write_text("error: an earlier one\nmeasuring\nerror: the GPU is busy;\nwait for it\n")
    run.logs[2].write_text("error: no Triton is here\n")
    run.fail(1)
    assert run.log(LogEvent.ERROR) == [LAST], "the run goes on"
    run.fail(2)
    assert run.last_lines() == [
        *(f"benchmark failed ({run.logs[1]}):", "error: the GPU is busy;", "wait for it"),
        *(f"load_test failed ({run.logs[2]}):", "error: no Triton is here"),
    ]


def test_a_job_that_succeeds_at_another_attempt_has_no_error(run):
    run.logs[1].write_text("error: the node was lost\n")
    run.fail(1)
    run.log(LogEvent.JOB_FINISHED, job_id=1)
    assert run.last_lines() == []


@pytest.mark.parametrize("indent", [False, True])
def test_the_error_of_an_earlier_run_is_not_repeated(run, indent):
    """A job was killed before it wrote its log, or belongs to a failed group and was not reached."""
    run.logs[1].write_text("error: of yesterday\n")
    os.utime(run.logs[1], (1, 1))
    run.fail(1, indent)
    words = f"benchmark failed without an error of its own; look into {run.logs[1]}"
    assert run.last_lines() == ([] if indent else [words])


@pytest.mark.parametrize(
    "said",
    [
        "slurmstepd: error: Exceeded job memory limit",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed.",
        "State: OUT_OF_MEMORY",
    ],
)
def test_a_job_that_was_killed_for_its_memory_is_told_from_others(run, tmp_path, said):
    slurm, absent = tmp_path / "7.log", tmp_path / "8.log"
    slurm.write_text(f"Building DAG of jobs...\n{said}\n")
    run.fail(1, False, absent, slurm)
    run.logs[2].write_text("error: the accuracy is below its limit\n")
    run.fail(2)
    advice, *others = run.last_lines()
    assert advice == (
        "benchmark ran out of its memory of 8000 MB; raise `mem_mb` of it under `set-resources` in the profile"
    )
    assert others == [f"load_test failed ({run.logs[2]}):", "error: the accuracy is below its limit"]


def test_an_output_that_did_not_exist_is_not_missed(run, tmp_path, caplog):
    """Snakemake would say that it cannot restore it, which sounds like a loss."""
    store = FileBackupMixin()
    store._get_backup_path = lambda path: tmp_path / "no backup"
    logger.addFilter(run.failed_jobs)
    try:
        with caplog.at_level(logging.WARNING, logger.name):
            assert not store.restore_output(tmp_path / "new.json")
            assert caplog.messages == []
            logger.removeFilter(run.failed_jobs)
            assert not store.restore_output(tmp_path / "new.json")
            assert caplog.messages == [f"Cannot restore {tmp_path}/new.json: no backup found."]
    finally:
        logger.removeFilter(run.failed_jobs)


def test_a_dry_run_beside_another_run_is_no_error(run, caplog):
    beside = SimpleNamespace(locked=True)
    logger.addFilter(run.failed_jobs)
    try:
        with caplog.at_level(logging.INFO, logger.name), PersistenceBase.lock_warn_only(beside):
            assert caplog.messages == []
            logger.removeFilter(run.failed_jobs)
        with caplog.at_level(logging.INFO, logger.name), PersistenceBase.lock_warn_only(beside):
            assert caplog.messages == ["Error: Directory cannot be locked. Another Snakemake instance is running."]
    finally:
        logger.removeFilter(run.failed_jobs)
