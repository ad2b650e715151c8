"""A run that fails, is killed or interrupted leaves what was good, and nothing of it stale."""

import os
import signal
from pathlib import Path

import pytest
from helpers.patience import PATIENCE_S
from helpers.toy_workflow import OUTPUTS, ToyWorkflow

from slipway.snakemake_hooks.layout import record_of

pytestmark = pytest.mark.slow

EVERY_RULE = set(OUTPUTS)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    return ToyWorkflow(tmp_path_factory.mktemp("toy")).make()


@pytest.fixture
def toy(once, tmp_path):
    """Return a copy of a workflow in which everything was made."""
    return once.copied(tmp_path / "toy")


def failed(toy):
    """Let the job of every rule fail, each with a part of its outputs written."""
    toy.configure("fails!")
    toy.run("used").refused("Error in rule several")


def ended_by(signal_number, whole_group):
    """Return a function that lets a signal end the workflow, with every rule's job in the middle of its work."""

    def end(toy):
        toy.configure("hangs!")
        with toy.started("used") as process:
            toy.hanging(process, *OUTPUTS)
            (os.killpg if whole_group else os.kill)(process.pid, signal_number)
            process.communicate(timeout=PATIENCE_S)

    return end


ENDINGS = {
    "failed": failed,
    "killed with its jobs": ended_by(signal.SIGKILL, True),
    "interrupted by Ctrl-C": ended_by(signal.SIGINT, True),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failed_attempt_leaves_nothing_stale_under_the_old_configuration(toy, ending):
    before = toy.contents()
    ENDINGS[ending](toy)
    again, said = toy.planned()
    assert again == {*EVERY_RULE, "used"}, said
    assert "reason: 'good' -> " in said
    toy.configure("good")
    assert toy.planned()[0] == set()
    assert toy.contents() == before


def test_a_failed_attempt_under_the_same_configuration_is_made_again(toy):
    toy.run("used", "-R", "several", FAILS="first").refused("Error in rule several")
    planned, said = toy.planned()
    assert {"several"} <= planned <= {"several", "used"}, said
    assert "left by a run that failed or was killed" in said
    toy.run("used").succeeded()
    assert toy.planned()[0] == set()


def test_a_killed_attempt_under_the_same_configuration_is_made_again(toy):
    with toy.started("used", "-R", "several", HANGS="first") as process:
        toy.hanging(process, "several")
        os.killpg(process.pid, signal.SIGKILL)
    assert "several" in toy.planned()[0]


def test_a_job_that_failed_before_its_snakemake_was_killed_is_not_taken_for_made(toy):
    """Snakemake had put back what was good, and recorded it as made from what the failed job was given."""
    before = toy.contents()
    toy.configure("early!")
    mark = record_of(Path("results/first.txt"), toy.folder / "results/.provenance/incomplete")
    with toy.started("used", FAILS="first", HANGS="one folder") as process:
        toy.hanging(process, "one", "folder")
        toy.until(lambda: not mark.exists() and toy.contents() != before, process)
        os.killpg(process.pid, signal.SIGKILL)
    assert toy.planned()[0] == {*EVERY_RULE, "used"}
    toy.configure("good")
    assert toy.planned()[0] == set()
    assert toy.contents() == before


def test_status_and_a_dry_run_work_beside_a_workflow_that_runs(toy):
    toy.configure("hangs!")
    with toy.started("used") as process:
        toy.hanging(process, *OUTPUTS)
        assert "all is well" in toy.run("status").succeeded().said
        assert "rule used:" in toy.run("-n", "used").succeeded().said
        assert "used" in toy.run("--list").succeeded().said
        toy.run("used").refused(f"another snakemake works in this folder (process {process.pid} on ")
        assert process.poll() is None
        assert len(toy.programs()) == len(OUTPUTS), "they were disturbed"


def test_a_job_that_outlives_a_killed_snakemake_is_ended_before_the_next_run(toy):
    before = toy.contents()
    toy.configure("hangs!")
    with toy.started("used") as process:
        toy.hanging(process, *OUTPUTS)
        process.kill()
        process.wait(PATIENCE_S)
        assert len(toy.programs()) == len(OUTPUTS)
        assert toy.planned()[0] == {*EVERY_RULE, "used"}
        assert len(toy.programs()) == len(OUTPUTS), "a dry run ended them"
        toy.configure("good")
        said = toy.run("used").succeeded().said
        assert said.count("had outlived its snakemake, which was killed, and was ended before this run") == len(OUTPUTS)
        assert "Nothing to be done" in said
        assert toy.programs() == []
        assert toy.contents() == before


def test_a_job_refuses_an_artifact_that_was_edited_while_the_workflow_ran(toy):
    """It was as made when the run was planned; what is made from it would be wrong, and pass."""
    before = toy.contents()
    error = "error: results/one.txt has changed since it was made"
    said = toy.run("used", "-R", "several", SPOILS="yes").refused(error).said
    assert said.strip().splitlines()[-2] == "used failed (logs/used.log):"
    assert said.strip().splitlines()[-1].startswith(error)
    assert said.count(error) == 2, "it is said when the job fails, and at the end"
    planned, said = toy.planned()
    assert planned >= {"one", "used"}, said
    toy.run("used").succeeded()
    assert toy.contents() == before
