import re
import sys
import sysconfig

import pytest
import snakemake
from helpers.workplace import REPOSITORY, Workplace
from snakemake.exceptions import WorkflowError

from slipway.core.user_modules import find_users_module
from slipway.snakemake_hooks.start_checks import remove_from_path, require_supported_version


@pytest.mark.parametrize("version", ["9.19", "9.19.0", "9.27.1", "9.100", snakemake.__version__])
def test_a_supported_snakemake_is_accepted(version):
    require_supported_version(version)


@pytest.mark.parametrize("version", ["7.32.4", "9.18.2", "9.9.0", "10.0.0", "11.2"])
def test_another_snakemake_is_refused_with_the_supported_versions_and_the_way_out(version):
    sentence = f"this is Snakemake {re.escape(version)}, but Slipway needs 9.19 or later, and a version before 10.0; "
    with pytest.raises(WorkflowError, match=sentence + ".*pip install -r envs/requirements.txt"):
        require_supported_version(version)


def test_the_pinned_snakemake_is_supported():
    (pinned,) = re.findall(r"^snakemake==(\S+)", (REPOSITORY / "envs/constraints.txt").read_text(), re.MULTILINE)
    require_supported_version(pinned)


@pytest.fixture
def workflow_folder(tmp_path, monkeypatch):
    """Return a folder with a module, first on sys.path, as Snakemake has the folder of the Snakefile there."""
    (tmp_path / "beside_the_snakefile.py").touch()
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def found():
    return find_users_module("beside_the_snakefile") is not None


def test_planning_finds_no_module_that_only_snakemake_put_on_the_path(workflow_folder):
    assert found()
    remove_from_path(workflow_folder / "rules" / "..")
    assert not found()


@pytest.mark.parametrize("by", ["PYTHONPATH", "an installation"])
def test_planning_finds_the_modules_that_jobs_find(workflow_folder, monkeypatch, by):
    if by == "PYTHONPATH":
        monkeypatch.chdir(workflow_folder)
        monkeypatch.setenv("PYTHONPATH", "elsewhere:.")
    else:
        monkeypatch.setattr(sys, "path", [sysconfig.get_path("stdlib"), str(workflow_folder)])
    remove_from_path(workflow_folder)
    assert found()


def test_an_unknown_target_is_told_with_the_nearest_ones(tmp_path):
    place = Workplace(tmp_path)
    place.path("good.pth").write_bytes(b"no job reads it")
    said = (
        place.snakemake("-n", "deploy_tinny").refused("there is no target deploy_tinny; did you mean deploy_tiny").said
    )
    assert "Traceback" not in said
    assert "Snakefile" not in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-n", "--persistence-backend", "db"], "--persistence-backend db keeps Snakemake's records in a database"),
        (["--drop-metadata"], "--drop-metadata leaves no record of how an artifact was made"),
    ],
    ids=["database", "no records"],
)
def test_a_run_that_would_lose_the_records_is_refused_before_anything_runs(tmp_path, options, sentence):
    place = Workplace(tmp_path)
    place.path("good.pth").write_bytes(b"no job reads it")
    said = place.snakemake("evidence", *options).refused(sentence, "leave that option out. Nothing was changed").said
    assert "Traceback" not in said
    assert "File " not in said
    assert not place.path("results/tiny").exists()
