import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway.core.artifacts import sha256
from slipway.snakemake_hooks.attempts import Attempts
from slipway.snakemake_hooks.layout import record_of

FOLDER = Path("results/.provenance")
FILE = "results/m/reference_outputs.npz"
BEFORE, AFTER = {"params": ["a"], "starttime": 1}, {"params": ["b"], "starttime": 2}


@pytest.fixture(autouse=True)
def good(tmp_path, monkeypatch):
    """Work where an artifact was made, with its record."""
    monkeypatch.chdir(tmp_path)
    Path(FILE).parent.mkdir(parents=True)
    Path(FILE).write_text("good")
    os.utime(FILE, (1000, 1000))
    records(BEFORE)


def records(content):
    """Let Snakemake have recorded something of the artifact."""
    path = record_of(Path(FILE), FOLDER / "snakemake")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(content).replace("'", '"'))


def marks():
    """Let Snakemake have marked the artifact as one whose job has begun."""
    path = record_of(Path(FILE), FOLDER / "incomplete")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"external_jobid": null}')


def attempts():
    return Attempts(sha256, ["acting"])


def job(rule="reference_outputs"):
    return SimpleNamespace(rule=SimpleNamespace(name=rule), output=[FILE])


def begin(rule="reference_outputs", forced=False):
    """Let a workflow begin in which the artifact is to be made anew."""
    attempts().begin(SimpleNamespace(needrun_jobs=lambda: [job(rule)], reason=lambda _: SimpleNamespace(forced=forced)))


def is_as_before():
    content, time = Path(FILE).read_text(), Path(FILE).stat().st_mtime
    recorded = record_of(Path(FILE), FOLDER / "snakemake").read_text()
    return (content, time) == ("good", 1000) and '"a"' in recorded


def is_marked():
    return record_of(Path(FILE), FOLDER / "incomplete").exists()


def test_a_failed_attempt_gives_back_time_and_record():
    """Time too: else an input that was made in the meantime would seem older, and the artifact fresh."""
    begin()
    Path(FILE).write_text("good")
    records(AFTER)
    attempts().settle()
    assert is_as_before()
    assert not is_marked()


def test_a_failed_attempt_with_the_same_key_is_made_again():
    begin()
    records({**BEFORE, "starttime": 2})
    attempts().settle()
    assert is_as_before()
    assert is_marked()


@pytest.mark.parametrize("forced", [False, True])
def test_a_killed_attempt_is_made_again_if_it_was_forced(forced):
    begin(forced=forced)
    marks()
    attempts().settle()
    assert is_as_before()
    assert is_marked() == forced


def test_what_a_killed_job_had_changed_is_put_back():
    begin()
    copy = Path(".snakemake/backups", FILE)
    copy.parent.mkdir(parents=True)
    shutil.copy(FILE, copy)
    marks()
    Path(FILE).write_text("half")
    attempts().settle()
    assert is_as_before()
    assert not is_marked()


def test_what_a_killed_job_had_changed_without_a_copy_stays_marked():
    begin()
    marks()
    Path(FILE).write_text("half")
    attempts().settle()
    assert is_marked()


def test_what_was_made_anew_is_left_alone():
    begin()
    Path(FILE).write_text("better")
    records(AFTER)
    attempts().settle()
    assert not is_as_before()
    assert not is_marked()
    assert Path(FILE).read_text() == "better"


def test_the_same_made_anew_keeps_its_new_record_where_it_is_known_that_its_job_ended_well():
    begin()
    records(AFTER)
    attempts().settle([job()])
    assert not is_as_before()


def test_a_killed_job_that_acts_beside_its_outputs_is_run_again():
    begin("acting")
    marks()
    attempts().settle()
    assert is_marked()


@pytest.mark.parametrize("noise", ["", "null", "[null]", "[{}]", '[{"rule": 1}]', "{}"])
def test_a_damaged_note_is_as_none(noise):
    (FOLDER / "attempts.json").write_text(noise)
    marks()
    attempts().settle()
    assert is_marked()
    assert not (FOLDER / "attempts.json").exists()
