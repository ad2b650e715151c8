import gc
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401, the modules below cannot be imported before it
from snakemake import common, jobs, rules

from slipway.snakemake_hooks.planning_speed import plan_faster


@pytest.fixture
def faster(monkeypatch):
    """Let this process plan faster, for one test."""
    thresholds = gc.get_threshold()
    for module in (common, jobs, rules):
        monkeypatch.setattr(module, "get_function_params", module.get_function_params)
    monkeypatch.setattr(jobs.Job, "shellcmd", jobs.Job.shellcmd)
    plan_faster()
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("faster")
def test_the_parameters_of_a_function_are_inspected_once():
    function = lambda wildcards, input: None  # noqa: E731
    inspected = [module.get_function_params(function) for module in (common, jobs, rules)]
    assert list(inspected[0]) == ["wildcards", "input"]
    assert all(parameters is inspected[0] for parameters in inspected)


class Job:
    """A job of Snakemake, as far as its shell command goes."""

    shellcmd = property(lambda job: jobs.Job.shellcmd.fget(job))

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
