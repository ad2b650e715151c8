import argparse
from importlib import metadata
from pathlib import Path

import pytest

from slipway.classification.image_files import digest_of_images
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.core.job_preconditions import require_planned
from slipway.core.job_settings import PACKAGES, SERVING, add_planned, settings_of
from slipway.core.serving_environment import serving_version
from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks.layout import record_of
from slipway.snakemake_hooks.records import ArtifactRecords, mark_incomplete


def given(**options):
    return argparse.Namespace(**options)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize(("option", "package"), PACKAGES.items())
def test_another_version_than_the_planned_one_is_named(option, package):
    installed = serving_version(package) if option in SERVING else metadata.version(package)
    require_planned(given(**{option: installed}))
    with pytest.raises(SlipwayError, match=f"planned for {package} 0.1, but {installed} runs"):
        require_planned(given(**{option: "0.1"}))


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(PACKAGES, "torch_version", "no-such-package")
    with pytest.raises(SlipwayError, match="no-such-package is not installed here; pip install"):
        require_planned(given(torch_version="1"))
    monkeypatch.setitem(PACKAGES, "pytriton_version", "no-such-package")
    with pytest.raises(SlipwayError, match="no-such-package is not installed here; scripts/make_serving"):
        require_planned(given(pytriton_version="1"))


def test_a_file_that_changed_since_is_named(file):
    options = {"checkpoint": file, "checkpoint_sha256": sha256(file)}
    require_planned(given(**options))
    file.write_bytes(b"others")
    with pytest.raises(SlipwayError, match=r"weights\.pth changed since this job was planned .*run snakemake again"):
        require_planned(given(**options))


def test_a_folder_of_photographs_that_changed_since_is_named(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_text(name)
    options = {"images": tmp_path, "images_sha256": digest_of_images(tmp_path, 2), "max_samples": 2}
    require_planned(given(**options))
    (tmp_path / "a.jpg").write_text("other")
    with pytest.raises(SlipwayError, match="changed since this job was planned"):
        require_planned(given(**options))


def test_what_was_not_declared_may_be_anything(file):
    require_planned(given(torch_version=None, checkpoint=file, checkpoint_sha256=None))


def test_a_missing_file_is_left_to_its_reader(tmp_path):
    require_planned(given(checkpoint=tmp_path / "none", checkpoint_sha256="0"))


def test_settings_are_what_is_neither_a_file_nor_a_way_to_work():
    options = given(
        crop=64, mean=[0.5], log="l", weights=Path("w"), engines=[Path("e")], tensorrt_python="p", labelled=None
    )
    assert settings_of(options) == {"crop": 64, "mean": [0.5]}


def test_options_say_what_they_declare():
    parser = argparse.ArgumentParser()
    add_planned(parser, "torch_version", "labels_from_sha256")
    said = " ".join(parser.format_help().split())
    assert "the torch that the job was planned for" in said
    assert "the SHA-256 of --labels-from that the job was planned for" in said


# ArtifactRecords as they were made


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Return the options of a workflow's job, whose inputs were made and noted, and whose output is marked."""
    monkeypatch.chdir(tmp_path)
    inputs = [Path("results/m/reference_outputs.npz"), Path("results/m/plots")]
    inputs[1].mkdir(parents=True)
    inputs[0].write_bytes(b"reference")
    (inputs[1] / "one.png").write_bytes(b"one")
    ArtifactRecords(FileHashCache()).remember(inputs)
    mark_incomplete(["results/m/accuracy.json"])
    return given(reference=inputs[0], folders=[inputs[1]], output=Path("results/m/accuracy.json"), seed=1)


@pytest.mark.parametrize("edited", ["reference_outputs.npz", "plots/one.png", "plots/two.png", "plots/.hidden"])
def test_a_job_refuses_an_artifact_that_is_no_longer_what_was_made(job, edited):
    require_planned(job)
    Path("results/m", edited).write_bytes(b"edited")
    artifact = Path("results/m", Path(edited).parts[0])
    with pytest.raises(SlipwayError, match=f"{artifact} has changed since it was made .* run snakemake again"):
        require_planned(job)


@pytest.mark.parametrize("damaged", ["reference_outputs.npz", "plots/one.png"])
def test_damage_that_no_time_shows_is_found_by_planning_once_a_job_found_it(job, damaged):
    """A disk changes no time: to planning, which remembers the file by its times, it is as it was."""
    file = Path("results/m", damaged)
    file.write_bytes(file.read_bytes()[::-1])
    as_it_was = file.stat()
    known = FileHashCache()
    known._known[f"sha256 {file}"] = [[as_it_was.st_size, as_it_was.st_mtime_ns, as_it_was.st_ctime_ns], "as it was"]
    assert known.sha256(file) == "as it was"
    with pytest.raises(SlipwayError, match="has changed since it was made"):
        require_planned(job)
    assert known.sha256(file) == sha256(file)


def test_what_a_job_replaces_may_be_anything(job):
    job.output.write_bytes(b"before")
    ArtifactRecords(FileHashCache()).remember([job.output])
    job.output.write_bytes(b"edited")
    require_planned(job)


def test_a_program_that_no_workflow_runs_takes_what_it_is_given(job):
    mark_incomplete([])
    job.reference.write_bytes(b"mine")
    require_planned(job)


def test_what_was_made_anew_and_is_not_noted_yet_is_taken(job):
    record = record_of(job.reference, Path("results/.provenance/snakemake"))
    record.parent.mkdir(parents=True)
    record.write_text('{"endtime": 1.5}')
    job.reference.write_bytes(b"made anew")
    require_planned(job)
