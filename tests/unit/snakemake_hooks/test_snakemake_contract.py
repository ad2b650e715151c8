"""What this project uses of Snakemake's inside is there in the installed version, and works as it is used.

One small workflow runs for real and writes down what it saw. Each test names one part, so that after an upgrade of
Snakemake the names of the failed tests are the list of what changed.
"""

import inspect
import json
import re
from pathlib import Path

import pytest
import snakemake
import snakemake.api
from helpers.observed_snakemake import ATTRIBUTES, EVENTS, Observed
from helpers.workplace import REPOSITORY
from snakemake import jobs
from snakemake.cli import parse_args
from snakemake_interface_logger_plugins.common import LogEvent

from slipway.snakemake_hooks import layout, read_only_commands
from slipway.snakemake_hooks.attempts import KEY
from slipway.snakemake_hooks.hooks import untracked

HOOKS = REPOSITORY / "scripts" / "slipway" / "snakemake_hooks"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the observations of three runs: the first, one that fails with new params, a dry run after an edit."""
    place = Observed(tmp_path_factory.mktemp("contract"))
    first = place.run()
    assert first["code"] == 0, first["said"]
    record = json.loads(layout.record_of(Path("results/second.txt"), place.folder / ".snakemake/metadata").read_text())
    second = place.run(text="new", path="elsewhere", fails="yes")
    assert second["code"] == 1, second["said"]
    (place.folder / "results/first.txt").write_text("edited")
    mark = layout.record_of(Path("results/folder"), place.folder / ".snakemake/incomplete")
    mark.write_text(json.dumps({"external_jobid": None}))
    third = place.run("--dry-run", text="new")
    return {"first": first, "second": second, "third": third, "record": record, "folder": place.folder}


def changed(part):
    """Return the message of a failed test: the part of Snakemake that is not as it is used."""
    return f"Snakemake {snakemake.__version__} changed {part}, which {HOOKS.relative_to(REPOSITORY)} uses"


# Attributes and events


@pytest.mark.parametrize("name", [f"{kind}.{name}" for kind, names in ATTRIBUTES.items() for name in names])
def test_snakemake_has_the_attribute(runs, name):
    assert name in runs["first"]["attributes"], changed(f"the attribute {name}")


@pytest.mark.parametrize("name", [f"{event}.{name}" for event, names in EVENTS.items() for name in names])
def test_snakemake_logs_the_event_with(runs, name):
    event, attribute = name.split(".")
    assert event in LogEvent.__members__, changed(f"the event {event}")
    if event != "ERROR":  # an ERROR ends the run; the refusals of real workflows are tested where they are made
        assert attribute in runs["second"]["events"].get(event, []), changed(f"the attribute {attribute} of {event}")


def test_every_attribute_that_is_used_is_in_this_contract():
    known = {f"{kind}.{name}" for kind, names in ATTRIBUTES.items() for name in names}
    used = set()
    for module in HOOKS.glob("*.py"):
        for kind, name in re.findall(r"\b_?(workflow|dag|reason)\.([a-z_.]+[a-z])", module.read_text(encoding="utf-8")):
            used.add(f"{kind}.{name}".replace("workflow.dag.", "dag."))
    missing = {name for name in used if not any(one == name or one.startswith(f"{name}.") for one in known)}
    assert not missing


def test_nothing_else_uses_the_inside_of_snakemake():
    inside = re.compile(r"^\s*(?:from|import) snakemake|\.snakemake\b|\bworkflow\.[a-z]", re.MULTILINE)
    files = [*REPOSITORY.glob("rules/*.smk"), REPOSITORY / "Snakefile", *REPOSITORY.glob("scripts/**/*.py")]
    users = {
        path.relative_to(REPOSITORY).as_posix()
        for path in files
        if HOOKS not in path.parents and inside.search(path.read_text(encoding="utf-8"))
    }
    assert users == {"rules/before_config.smk"}  # it asks for Snakemake's version


# Reasons


@pytest.mark.parametrize(
    ("run", "rule", "reason", "value"),
    [
        ("first", "first", "missing_output", ["results/first.txt"]),
        ("first", "second", "updated_input_run", ["results/first.txt"]),
        ("first", "second", "dependencies", ["first"]),
        ("second", "first", "params", [["'good'"], ["'new'"]]),
        ("second", "folder", "code_changed", True),
        ("third", "second", "updated_input", ["results/first.txt"]),
        ("third", "folder", "forced", True),
    ],
)
def test_snakemake_gives_the_reason(runs, run, rule, reason, value):
    assert runs[run]["reasons"][rule][reason] == value, changed(f"the reason {reason}")


def test_the_jobs_that_will_run_are_known_at_the_start(runs):
    assert runs["first"]["needrun"] == ["first", "folder", "second"], changed("dag.needrun_jobs")


def test_finished_jobs_are_those_that_succeeded(runs):
    assert runs["second"]["finished"] == ["first", "second"], changed("dag.finished_jobs")


def test_a_failed_run_ends_with_an_error_after_onerror(runs):
    assert runs["second"]["last"] == ["ERROR", True], changed("the last message of a failed run")


def test_the_checksum_of_an_input_is_the_sha256_of_the_last_run(runs):
    (checksums,) = runs["third"]["reasons"]["second"]["checksums"]
    assert [len(checksum.removeprefix("sha256:")) for checksum in checksums] == [64], changed("input_checksums")


# Records and folders


@pytest.mark.parametrize("field", ["endtime", *KEY])
def test_a_record_has_the_field(runs, field):
    assert field in runs["record"], changed(f"the field {field} of its records")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("marks of running jobs", layout.record_of(Path("results/first.txt"), layout.SNAKEMAKE / layout.MARKS)),
        ("records", layout.record_of(Path("results/first.txt"), layout.SNAKEMAKE / layout.RECORDS)),
        ("copies of update() outputs", layout.SNAKEMAKE / layout.BACKUPS / "results/first.txt"),
        ("locks", layout.SNAKEMAKE / layout.LOCKS / "0.output.lock"),
    ],
)
def test_snakemake_keeps_its_files_where_they_are_looked_for(runs, kind, path):
    assert str(path) in runs["second"]["during"], changed(f"where it keeps {kind}")


def test_a_folder_that_is_an_artifact_has_the_time_stamp(runs):
    stamp = layout.stamp_of(runs["folder"] / "results/folder")
    assert stamp.is_file(), changed(f"the name of {layout.TIME_STAMP}")


def test_the_record_of_a_long_path_lies_where_it_is_looked_for(tmp_path):
    from snakemake.persistence.file import FilePersistence

    path = Path("results") / ("a" * 200) / ("b" * 200)
    persistence = FilePersistence(path=tmp_path)
    assert persistence._record_path(str(tmp_path), str(path)) == str(layout.record_of(path, tmp_path)), changed(
        "the names of its records"
    )
    assert layout.artifact_of(layout.record_of(path, tmp_path), tmp_path) == str(path)


# Functions


def test_a_param_that_is_not_tracked_makes_nothing_stale(runs):
    from snakemake.rules import Rule

    assert Rule._is_deriving_function(untracked("here")), changed("which params it compares")
    assert "elsewhere" not in str(runs["second"]["reasons"]["first"]["params"]), changed("which params it compares")


def test_the_folder_in_which_snakemake_works_is_found_out_when_it_is_imported():
    from snakemake.workflow import Workflow

    assert Workflow._rundir == str(Path.cwd()), changed("Workflow._rundir")


def test_the_shell_command_of_a_job_is_a_property():
    assert callable(jobs.Job.shellcmd.fget), changed("Job.shellcmd")


def test_rules_of_a_file_and_parameters_of_a_function_are_found_by_these_functions():
    from snakemake import common, rules
    from snakemake.output_index import OutputIndex

    assert list(inspect.signature(OutputIndex.match_producers).parameters) == ["self", "targetfile"], changed(
        "OutputIndex.match_producers"
    )
    assert rules.get_function_params is common.get_function_params, changed("get_function_params")


def test_params_are_written_down_by_the_method_that_is_chosen():
    from snakemake.persistence import PersistenceBase

    assert isinstance(PersistenceBase._serialize_param, property), changed("PersistenceBase._serialize_param")
    assert PersistenceBase._serialize_param_builtin(None, {"a": 1}) == "{'a': 1}", changed("_serialize_param_builtin")


@pytest.mark.parametrize("option", [*read_only_commands.PRINTING, "targets"])
def test_snakemake_has_the_option(option):
    _, arguments = parse_args(["--cores", "1", "status"])
    assert hasattr(arguments, option), changed(f"the option {option}")
