import logging
import os
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from slipway.snakemake_hooks.failed_jobs import FailedJobs, memory_advice

LAST = "At least one job did not complete successfully."


class Run:
    """A run whose jobs benchmark (1) and load_test (2) have logs in a folder."""

    def __init__(self, folder):
        self.logs = {jobid: folder / f"{name}.log" for jobid, name in enumerate(["benchmark", "load_test"], 1)}
        jobs = [
            SimpleNamespace(jobid=jobid, log=[str(log)], resources={}, rule=SimpleNamespace(name=log.stem))
            for jobid, log in self.logs.items()
        ]
        self.failed_jobs = FailedJobs(SimpleNamespace(dag=SimpleNamespace(jobs=jobs)))

    def log(self, event, **attributes):
        record = logging.makeLogRecord({"msg": LAST, "event": event, **attributes})
        assert self.failed_jobs.filter(record)
        return record.msg.splitlines()

    def fail(self, jobid, indent=False):
        log = self.logs[jobid]
        self.log(LogEvent.JOB_ERROR, jobid=jobid, rule_name=log.stem, indent=indent, log=[str(log)])

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


def test_a_job_without_memory_ends_the_run_with_its_advice(run):
    run.logs[1].write_text("Out of memory: Killed process 7\n")
    run.fail(1)
    (advice,) = run.last_lines()
    assert advice.startswith("benchmark ran out of its memory; raise `mem_mb`")


@pytest.mark.parametrize(
    "said",
    [
        "slurmstepd: error: Exceeded job memory limit",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed.",
        "State: OUT_OF_MEMORY",
    ],
)
def test_a_job_that_was_killed_for_its_memory_is_told_from_others(tmp_path, said):
    log, other = tmp_path / "1.log", tmp_path / "2.log"
    log.write_text(f"Building DAG of jobs...\n{said}\n")
    other.write_text("error: the accuracy is below its limit\n")
    advice = memory_advice(["benchmark", "benchmark"], [str(other), str(log)], 8000)
    assert advice.startswith("benchmark ran out of its memory of 8000 MB; raise `mem_mb`")
    assert memory_advice(["benchmark"], [str(other), str(tmp_path / "absent")], 8000) is None
