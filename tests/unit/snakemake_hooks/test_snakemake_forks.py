"""What tests start as a fork does what Snakemake does in a process of its own."""

import os
import re

import pytest
from helpers import snakemake_forks
from helpers.workplace import Workplace, random_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture
def workplace(tmp_path):
    random_checkpoint(tmp_path / "good.pth", seed=1)
    return Workplace(tmp_path)


def lines(outcome):
    """Return the exit code and the lines without times and ids, sorted, since independent jobs have no order."""
    own = re.compile(r"\[.*\d\d:\d\d:\d\d \d+\]|  (Date|Workflow ID): .*")
    return outcome.code, sorted(line for line in outcome.said.splitlines() if not own.fullmatch(line))


@pytest.mark.parametrize("benchmark", [{"seconds": 1}, {"secnods": 1}])
def test_it_says_and_returns_the_same(workplace, benchmark):
    workplace.configure("benchmark", benchmark)
    as_process = workplace.run(workplace.snakemake_command("-n", "deploy"))
    assert lines(workplace.snakemake("-n", "deploy")) == lines(as_process)


def test_what_python_reads_at_its_start_asks_for_a_process_of_its_own():
    assert snakemake_forks.starts_alike(os.environ | {"HOME": "/elsewhere"})
    assert not snakemake_forks.starts_alike(os.environ | {"PYTHONPATH": "/elsewhere"})
    assert not snakemake_forks.starts_alike(os.environ | {"LD_PRELOAD": "/elsewhere"})


def test_after_the_process_that_forks_was_killed_another_one_forks(workplace):
    server = snakemake_forks._server()
    server.kill()
    server.wait()
    assert snakemake_forks.run(["--version"], workplace.folder, os.environ, timeout_s=600)[0] == 0


def test_a_fork_that_takes_too_long_is_ended_and_the_next_works(workplace):
    with pytest.raises(snakemake_forks.subprocess.TimeoutExpired):
        snakemake_forks.run(["--version"], workplace.folder, os.environ, timeout_s=0)
    assert snakemake_forks.run(["--version"], workplace.folder, os.environ, timeout_s=600)[0] == 0
