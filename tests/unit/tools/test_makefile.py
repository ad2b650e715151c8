"""`make` in folders whose paths a shell would run: refused in a sentence, or harmless; never executed."""

import shutil
import subprocess

import pytest
from helpers.patience import PATIENCE_S
from helpers.workplace import ODD, REPOSITORY


def made(tmp_path, name):
    """Return how `make -n status` ends in a folder of this name, and what it says."""
    folder = tmp_path / name
    folder.mkdir()
    shutil.copyfile(REPOSITORY / "Makefile", folder / "Makefile")
    (folder / ".venv").mkdir()
    pins = ("requirements", "constraints", "serving", "serving-constraints", "triton")
    for file in (
        *(f"envs/{name}.txt" for name in pins),
        "scripts/find_python",
        "scripts/make_serving",
        ".venv/installed",
    ):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()
    done = subprocess.run(["make", "status"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    assert not list(tmp_path.rglob("owned"))
    return done.returncode, done.stderr + done.stdout


@pytest.mark.parametrize("name", [ODD, "a$(touch owned)", "a`touch owned`", 'a"b', "a\\b", "a:b"])
def test_a_path_that_the_environment_would_not_work_in_is_refused_before_anything_is_made(tmp_path, name):
    code, said = made(tmp_path, name)
    assert code
    assert "The path of this folder has one of the signs" in said


@pytest.mark.parametrize("name", ["plain", "a b (1); touch owned #'ä"])
def test_any_other_path_is_none_of_a_shells_business(tmp_path, monkeypatch, name):
    program = tmp_path / "programs" / "snakemake"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "asked for $*; $PATH"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    code, said = made(tmp_path, name)
    assert code == 0, said
    assert f"asked for --cores 1 status; {tmp_path / name}/.venv/bin:" in said
