"""The workflow with `--sdm apptainer`: a real Apptainer runs its jobs in an image, which is a folder of the test."""

import os
from pathlib import Path

import pytest
from helpers.programs.apptainer import OPTIONS, apptainer_or_unavailable, folder_image
from helpers.programs.debian_packages import Unavailable
from helpers.workplace import (
    ENGINE_RECORD,
    NOT_BY_ENVIRONMENT,
    OTHER_ENVIRONMENT,
    REPOSITORY,
    Workplace,
    random_checkpoint,
    tiny_configuration,
)


@pytest.fixture(scope="module")
def apptainer(request):
    """Return the variables with which Apptainer is found; skip where it cannot be had."""
    try:
        programs = apptainer_or_unavailable(request.config.cache.mkdir("apptainer"))
    except Unavailable as why:
        pytest.skip(f"no Apptainer here: {why}")
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with a tiny model, whose jobs have an image."""
    workplace = Workplace(tmp_path_factory.mktemp("place"), tiny_configuration())
    workplace.image = folder_image(tmp_path_factory.mktemp("image"), workplace.path("ran.txt"))
    workplace.configure("container", str(workplace.image))
    random_checkpoint(workplace.path("good.pth"), seed=0)
    return workplace


def in_image(place, apptainer, *targets):
    """Make `targets` with every job in the image."""
    options = ("--sdm", "apptainer", "--apptainer-args", f"{OPTIONS} --bind {REPOSITORY}")
    return place.snakemake(*targets, *options, **apptainer)


@pytest.mark.long
def test_jobs_run_in_the_image_and_another_environment_is_told_as_the_reason_to_run_them_again(place, apptainer):
    in_image(place, apptainer, ENGINE_RECORD).succeeded()
    ran = place.path("ran.txt").read_text(encoding="utf-8").split()
    programs = ("build_engine", "export_onnx", "fetch_weights", "make_contract", "sample_inputs")
    assert ran[0::2] == [str(place.image)] * len(programs)
    assert sorted(Path(path).stem for path in ran[1::2]) == list(programs)
    assert place.path(ENGINE_RECORD).is_file()
    assert OTHER_ENVIRONMENT in place.snakemake(ENGINE_RECORD, "--dry-run").succeeded().said
    known = place.snakemake(ENGINE_RECORD, "--dry-run", *NOT_BY_ENVIRONMENT).succeeded().said
    assert "Nothing to be done" in known, known


def test_what_is_live_is_asked_outside_of_the_image(place, apptainer):
    notes = place.path("ran.txt")
    notes.write_text("", encoding="utf-8")
    assert "this machine: " in in_image(place, apptainer, "status").succeeded().said
    assert not notes.read_text(encoding="utf-8")


def test_jobs_without_an_image_are_refused(place, apptainer):
    place.configure("container", None)
    try:
        in_image(place, apptainer, ENGINE_RECORD, "--dry-run").refused("`container` names none")
    finally:
        place.configure("container", str(place.image))
