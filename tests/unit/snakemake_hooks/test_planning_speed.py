import atexit
import gc
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401, the modules below cannot be imported before it
from helpers.fresh_interpreter import printed
from snakemake import common, rules
from snakemake.jobs import Job as SnakemakeJob
from snakemake.output_index import OutputIndex
from snakemake.persistence import PersistenceBase

from slipway.snakemake_hooks.planning_speed import plan_faster

# It prints a job's params as Snakemake compares them, and whether pandas was imported.
SERIALIZED = """
import sys
from pathlib import Path

import snakemake.api
from snakemake.persistence.file import FilePersistence
from slipway.snakemake_hooks.planning_speed import plan_faster

plan_faster(is_module={is_module})
class Job:
    non_derived_params = [{{"a": [1, None]}}, "text", object()]
print(FilePersistence(path=Path("p"))._params(Job), "pandas" in sys.modules)
"""

# Two objects that refer to each other, and say that the garbage collector has found them.
GARBAGE = """
import snakemake.api
from slipway.snakemake_hooks.planning_speed import plan_faster

class Half:
    def __del__(self):
        print("found", flush=True)

plan_faster(is_module={is_module})
one, other = Half(), Half()
one.other, other.one = other, one
del one, other
"""

# What `plan_faster` changes of Snakemake.
CHANGED = [
    (SnakemakeJob, "shellcmd"),
    (OutputIndex, "match_producers"),
    (common, "get_function_params"),
    (rules, "get_function_params"),
    (PersistenceBase, "_serialize_param"),
]


@pytest.fixture
def faster(monkeypatch):
    """Let this process plan faster, for one test."""
    thresholds = gc.get_threshold()
    for owner, name in CHANGED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    plan_faster(is_module=False)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    atexit.unregister(gc.freeze)


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


class Rule:
    """A rule of Snakemake that makes one file."""

    def __init__(self, product):
        self.product, self.asked = product, 0

    def products(self):
        return [SimpleNamespace(constant_prefix=lambda: self.product, constant_suffix=lambda: "")]

    def is_producer(self, file):
        self.asked += 1
        return file == self.product


@pytest.mark.usefixtures("faster")
def test_the_rules_that_make_a_file_are_looked_for_once_in_each_workflow():
    rule, other = Rule("a.txt"), Rule("a.txt")
    index = OutputIndex([rule])
    assert [index.match_producers(file) for file in ("a.txt", "a.txt", "b.txt")] == [{rule}, {rule}, set()]
    assert rule.asked == 1
    assert OutputIndex([other]).match_producers("a.txt") == {other}


@pytest.mark.usefixtures("faster")
def test_the_parameters_of_functions_are_those_that_snakemake_finds():
    functions = [lambda wildcards: 1, lambda wildcards, input: 2, lambda wildcards, **others: 3]
    taken = [common.get_input_function_aux_params(function, {"input": [], "threads": 1}) for function in functions * 2]
    assert taken == [{}, {"input": []}, {"input": [], "threads": 1}] * 2
    assert rules.get_function_params is common.get_function_params
    assert rules.get_function_params.cache_info()[:2] == (3, 3)


@pytest.mark.parametrize("is_module", [False, True])
def test_params_are_compared_as_snakemake_does_and_pandas_is_imported_only_for_other_workflows(
    is_module, in_an_empty_folder
):
    expected = ["'text'", "{'a': [1, None]}"]
    assert printed(SERIALIZED.format(is_module=is_module)) == f"{expected} {is_module}"


@pytest.mark.parametrize(("is_module", "found"), [(True, "found\nfound"), (False, "")])
def test_a_plan_ends_without_a_last_search_for_garbage_if_slipway_is_the_workflow(is_module, found):
    assert printed(GARBAGE.format(is_module=is_module)) == found
