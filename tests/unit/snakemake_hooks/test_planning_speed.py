import gc
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401, the modules below cannot be imported before it
from helpers.fresh_interpreter import printed
from snakemake.jobs import Job as SnakemakeJob

from slipway.snakemake_hooks.planning_speed import plan_faster

# It prints a job's params as Snakemake compares them, and whether pandas was imported.
SERIALIZED = """
import sys
from pathlib import Path

import snakemake.api
from snakemake.persistence.file import FilePersistence
from slipway.snakemake_hooks.planning_speed import plan_faster

plan_faster(may_have_tables={may_have_tables})
class Job:
    non_derived_params = [{{"a": [1, None]}}, "text", object()]
print(FilePersistence(path=Path("p"))._params(Job), "pandas" in sys.modules)
"""


@pytest.fixture
def faster(monkeypatch):
    """Let this process plan faster, for one test."""
    thresholds = gc.get_threshold()
    monkeypatch.setattr(SnakemakeJob, "shellcmd", SnakemakeJob.shellcmd)
    plan_faster(may_have_tables=True)
    yield
    gc.set_threshold(*thresholds)


class Job:
    """A job of Snakemake, as far as its shell command goes."""

    shellcmd = property(lambda job: SnakemakeJob.shellcmd.fget(job))

    def __init__(self, command):
        self.rule, self.formatted = SimpleNamespace(shellcmd=command), 0

    def format_wildcards(self, command):
        self.formatted += 1
        return command


@pytest.mark.usefixtures("faster")
def test_a_shell_command_that_is_shown_three_times_is_formatted_once():
    first, second = Job("echo a"), Job("echo b")
    commands = [job.shellcmd for job in (first, first, first, second, second)]
    assert commands == ["echo a"] * 3 + ["echo b"] * 2
    assert (first.formatted, second.formatted) == (1, 1)


@pytest.mark.parametrize("may_have_tables", [False, True])
def test_params_are_compared_as_snakemake_does_and_pandas_is_imported_only_for_other_workflows(
    may_have_tables, in_an_empty_folder
):
    expected = ["'text'", "{'a': [1, None]}"]
    assert printed(SERIALIZED.format(may_have_tables=may_have_tables)) == f"{expected} {may_have_tables}"
