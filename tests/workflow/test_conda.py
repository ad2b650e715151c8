"""The workflow with `--sdm conda`, as far as that goes without conda: what it is given, which Python jobs run in."""

import os
from pathlib import Path

import pytest
from helpers.programs import fake_conda
from helpers.workplace import (
    NOT_BY_ENVIRONMENT,
    OTHER_ENVIRONMENT,
    REPOSITORY,
    WEIGHTS,
    Workplace,
    random_checkpoint,
    tiny_configuration,
)


@pytest.fixture
def conda(tmp_path):
    """Return the folder of a stand-in for conda."""
    folder = tmp_path / "conda"
    fake_conda.install(folder)
    return folder


@pytest.mark.long
def test_jobs_run_in_an_environment_of_the_one_file_that_conda_is_given(tmp_path, conda):
    place = Workplace(tmp_path, tiny_configuration())
    random_checkpoint(place.path("good.pth"), seed=0)
    place.snakemake(WEIGHTS, "--sdm", "conda", PATH=f"{conda / 'bin'}:{os.environ['PATH']}").succeeded()
    ran = [line.split() for line in (conda / "ran.txt").read_text(encoding="utf-8").splitlines()]
    assert [Path(program).name for _, program in ran] == ["sample_inputs.py", "fetch_weights.py"]
    (prefix,) = {prefix for prefix, _ in ran}
    assert Path(prefix).parent == place.path(".snakemake/conda")
    given = conda / "environment.yaml"
    assert given.read_bytes() == (REPOSITORY / "envs" / "slipway.yaml").read_bytes()
    venv, *pips = (conda / "installed.txt").read_text(encoding="utf-8").splitlines()
    assert venv == f"-m venv {prefix}/serving", "what serves has an environment of its own there too"
    assert [" openvino==" in pip for pip in pips] == [True, False]
    assert [f" --no-deps --target {prefix}/serving/triton nvidia-pytriton==" in pip for pip in pips] == [False, True]

    changed = place.snakemake(WEIGHTS, "--dry-run").succeeded().said
    assert OTHER_ENVIRONMENT in changed
    known = place.snakemake(WEIGHTS, "--dry-run", *NOT_BY_ENVIRONMENT).succeeded().said
    assert "Nothing to be done" in known, known
