import base64
import json
import os
import shutil

import pytest

from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks.records import ArtifactRecords, incomplete, keep_records_with_results, mark_incomplete

ENGINE = "results/m/m.trt"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in a folder with an artifact in it, and where Snakemake has its own folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "m").mkdir(parents=True)
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / ENGINE).write_bytes(b"an engine")
    return tmp_path


def artifacts():
    return ArtifactRecords(FileHashCache())


def snakemakes_record(place, name, endtime):
    """Write the record that Snakemake makes when a job ends."""
    record = place / "results/.provenance/snakemake" / base64.urlsafe_b64encode(name.encode()).decode()
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"endtime": endtime}))


# Records stay with the results


def test_records_lie_with_the_results(place):
    keep_records_with_results()
    (place / ".snakemake/metadata/record").write_text("{}")
    assert (place / "results/.provenance/snakemake/record").is_file()


def test_records_of_before_are_taken_along(place):
    (place / ".snakemake/metadata").mkdir()
    (place / ".snakemake/metadata/record").write_text("{}")
    keep_records_with_results()
    keep_records_with_results()
    assert (place / "results/.provenance/snakemake/record").read_text() == "{}"
    assert (place / ".snakemake/metadata/record").is_file()


def test_a_lost_folder_of_snakemakes_loses_no_record(place):
    keep_records_with_results()
    (place / ".snakemake/metadata/record").write_text("{}")
    shutil.rmtree(place / ".snakemake")
    keep_records_with_results()
    assert (place / ".snakemake/metadata/record").is_file()


def test_a_moved_folder_keeps_its_records(place, monkeypatch):
    keep_records_with_results()
    (place / ".snakemake/metadata/record").write_text("{}")
    moved = place.rename(place.with_name(f"{place.name}_moved"))
    monkeypatch.chdir(moved)
    keep_records_with_results()
    assert (moved / ".snakemake/metadata/record").is_file()


def test_removed_results_take_their_records_along(place):
    keep_records_with_results()
    (place / ".snakemake/metadata/record").write_text("{}")
    shutil.rmtree(place / "results")
    keep_records_with_results()
    assert list((place / ".snakemake/metadata").iterdir()) == []


# ArtifactRecords that are no longer what was made


def test_an_artifact_as_it_was_made_is_not_changed(place):
    artifacts().remember([ENGINE])
    os.utime(place / ENGINE, (1, 1))
    assert artifacts().changed() == {}


@pytest.mark.parametrize("content", [b"an engine by hand", b"an eng", b""])
def test_an_edited_or_truncated_artifact_is_named_with_both_hashes(place, content):
    artifacts().remember([ENGINE])
    (place / ENGINE).write_bytes(content)
    ((name, (made, now)),) = artifacts().changed().items()
    assert name == ENGINE
    assert made != now


def test_a_missing_artifact_is_snakemakes_matter(place):
    artifacts().remember([ENGINE, "results/m/never_made"])
    (place / ENGINE).unlink()
    assert artifacts().changed() == {}


def test_a_file_in_an_artifacts_folder_counts_but_not_what_others_leave_there(place):
    folder = place / "results/m/repository"
    (folder / "1" / "__pycache__").mkdir(parents=True)
    (folder / "1" / "model.py").write_text("pass")
    artifacts().remember(["results/m/repository"])
    (folder / ".snakemake_timestamp").touch()
    (folder / "1" / "__pycache__" / "model.pyc").touch()
    assert artifacts().changed() == {}
    (folder / "1" / "extra").touch()
    assert list(artifacts().changed()) == ["results/m/repository"]


def test_what_a_killed_run_made_anew_is_taken_as_made(place):
    artifacts().remember([ENGINE])
    (place / ENGINE).write_bytes(b"another engine")
    snakemakes_record(place, ENGINE, (place / ENGINE).stat().st_mtime)
    assert artifacts().changed() == {}
    os.utime(place / ENGINE, (1, 1))
    assert list(artifacts().changed()) == [ENGINE]


def flipped_in_silence(path):
    """Change one bit of a file, and keep its size and the time of its last change."""
    content, before = bytearray(path.read_bytes()), path.stat()
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_flipped_bit_with_the_time_kept_is_found(place):
    """The time says that Snakemake made it so, but what Snakemake made then is known."""
    snakemakes_record(place, ENGINE, (place / ENGINE).stat().st_mtime)
    artifacts().remember([ENGINE])
    flipped_in_silence(place / ENGINE)
    assert list(artifacts().changed()) == [ENGINE]


def test_an_edit_in_an_artifacts_folder_is_found_whose_own_time_stays(place):
    folder = place / "results/m/repository"
    folder.mkdir()
    (folder / "model.py").write_text("pass")
    (folder / ".snakemake_timestamp").touch()
    snakemakes_record(place, "results/m/repository", (folder / ".snakemake_timestamp").stat().st_mtime)
    artifacts().remember(["results/m/repository"])
    assert artifacts().changed() == {}
    (folder / "model.py").write_text("raise")
    assert list(artifacts().changed()) == ["results/m/repository"]


@pytest.mark.parametrize("extra", [".hidden", "2"])
def test_nothing_extra_lies_in_an_artifacts_folder(place, extra):
    folder = place / "results/m/repository"
    folder.mkdir()
    artifacts().remember(["results/m/repository"])
    (folder / extra).mkdir()
    assert list(artifacts().changed()) == ["results/m/repository"]


def test_what_a_killed_run_made_anew_is_noted_when_it_is_found(place):
    """So that a bit that is flipped from then on is found."""
    snakemakes_record(place, ENGINE, (place / ENGINE).stat().st_mtime)
    artifacts().remember([ENGINE])
    (place / ENGINE).write_bytes(b"another engine")
    snakemakes_record(place, ENGINE, (place / ENGINE).stat().st_mtime)
    first = artifacts()
    assert first.changed() == {}
    first.remember(first.made_anew)
    flipped_in_silence(place / ENGINE)
    assert list(artifacts().changed()) == [ENGINE]


@pytest.mark.parametrize(
    "notes", ["", "null", "[]", "{}", '{"results/m/m.trt": null}', '{"results/m/m.trt": {"a": 1}}', "\0"]
)
def test_damaged_notes_are_as_none(place, notes):
    (place / "results/.provenance").mkdir()
    (place / "results/.provenance/artifacts.json").write_text(notes)
    assert artifacts().changed() == {}
    artifacts().remember([ENGINE])
    (place / ENGINE).write_bytes(b"by hand")
    assert list(artifacts().changed()) == [ENGINE]


def test_what_a_killed_run_could_not_note_is_found(place):
    snakemakes_record(place, ENGINE, (place / ENGINE).stat().st_mtime)
    assert artifacts().forgotten([ENGINE, "results/m/missing"]) == [ENGINE]
    artifacts().remember([ENGINE])
    assert artifacts().forgotten([ENGINE]) == []


def test_a_long_path_is_found_in_snakemakes_records(place):
    name = f"results/{'m' * 200}/{'m' * 200}.trt"
    (place / name).parent.mkdir()
    (place / name).touch()
    encoded = base64.urlsafe_b64encode(name.encode()).decode()
    record = place / "results/.provenance/snakemake" / f"@{encoded[:254]}" / f"@{encoded[254:508]}" / encoded[508:]
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"endtime": (place / name).stat().st_mtime}))
    assert artifacts().forgotten([name]) == [name]


def test_a_damaged_record_of_a_long_name_is_marked(place):
    """So long that no other name of a file in the same folder may be longer."""
    name = f"results/{'m' * 100}/{'m' * 75}.trt"
    record = place / ".snakemake/metadata" / base64.urlsafe_b64encode(name.encode()).decode()
    assert len(record.name) == 252
    record.parent.mkdir()
    record.write_text("null")
    keep_records_with_results()
    assert not record.exists()
    assert incomplete() == {name}


# Marks for Snakemake


def marks(place):
    return sorted(path.name for path in (place / "results/.provenance/incomplete").rglob("*") if path.is_file())


def test_a_marked_artifact_is_unmarked_once_it_is_put_back(place):
    mark_incomplete([ENGINE])
    assert marks(place) == [base64.urlsafe_b64encode(ENGINE.encode()).decode()]
    mark_incomplete([])
    assert marks(place) == []


def test_snakemakes_own_marks_stay(place):
    own = place / "results/.provenance/incomplete/abc"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"external_jobid": "7"}))
    mark_incomplete([])
    assert marks(place) == ["abc"]


def test_marked_artifacts_are_found_by_their_names_however_long(place):
    long = f"results/{'m' * 200}/{'m' * 200}.trt"
    assert incomplete() == set()
    mark_incomplete([ENGINE, long])
    (place / "results/.provenance/incomplete/.nfs0").touch()
    assert {ENGINE, long} <= incomplete()
