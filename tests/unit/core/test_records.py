"""A damaged record is as good as none, and in nobody's way."""

import os

import pytest
from helpers.artifacts.damages import DAMAGES, damage
from helpers.artifacts.receipts import local_receipt

from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.core.records import NUMBER, has_shape, read_record, require_record
from slipway.deploy.ledger import Ledger
from slipway.deploy.local.installation import lock as deployment_lock
from slipway.deploy.release_history import ReleaseHistory
from slipway.deploy.release_store import ReleaseStore
from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks.records import ArtifactRecords, keep_records_with_results
from slipway.snakemake_hooks.run_lock import RunLock
from slipway.triton.repository.versions import publication_number, read_index


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"a": 1, "more": []}, {"a": int}),
        ({"a": {"b": 1.5}}, {"a": {"b": NUMBER}}),
        ({"x": 1, "y": 2}, {str: int}),
        ({}, {str: int}),
        ([1, 2], [int]),
        ([{"a": "b"}], [{str: str}]),
        ("x", str),
    ],
)
def test_what_has_a_shape(value, shape):
    assert has_shape(value, shape)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({}, {"a": int}),
        ({"a": True}, {"a": int}),
        ({"a": "1"}, {"a": NUMBER}),
        ({"x": None}, {str: int}),
        ([1, "2"], [int]),
        (None, {str: int}),
        ([], {"a": int}),
        ({}, [int]),
    ],
)
def test_what_has_another_shape(value, shape):
    assert not has_shape(value, shape)


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_record_is_as_good_as_none_and_named_where_it_is_needed(tmp_path, content):
    path = damage(tmp_path / "record.json", content)
    assert read_record(path, {"a": int}) is None
    with pytest.raises(SlipwayError, match=r"record\.json is missing or damaged; deploy again"):
        require_record(path, {"a": int}, "deploy again")


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_note_of_who_works_here_stops_nobody(tmp_path, content):
    path = damage(tmp_path / "slipway" / "running.json", content)
    assert RunLock(tmp_path).holder() == "another process"
    lock = RunLock(tmp_path)
    assert lock.take()
    lock.work()
    assert f"process {os.getpid()} on " in lock.holder()
    assert path.is_file()


def test_a_file_in_place_of_the_folder_of_that_note_stops_nobody(tmp_path):
    (tmp_path / "slipway").write_text("noise")
    assert RunLock(tmp_path).take()


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_store_of_file_hashes_is_made_anew(tmp_path, content, monkeypatch):
    monkeypatch.setattr("slipway.keys.file_hash_cache.SETTLED_AFTER_S", -1)
    file, store = tmp_path / "file", damage(tmp_path / "store.json", content)
    file.write_text("content")
    first = FileHashCache(store)
    digest = first.sha256(file)
    first.save()
    assert store.is_file()
    assert FileHashCache(store).sha256(file) == digest


@pytest.mark.parametrize("content", DAMAGES)
def test_damaged_notes_of_artifacts_stop_no_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/made").write_text("made")
    notes = damage(tmp_path / "results/.provenance/artifacts.json", content)
    artifacts = ArtifactRecords(FileHashCache())
    assert artifacts.changed() == {}
    artifacts.remember(["results/made"])
    assert read_record(notes, {str: dict})


@pytest.mark.parametrize("folder", ["snakemake", "incomplete"])
@pytest.mark.parametrize("content", ["", "null", "[]", "noise", None])
def test_what_has_a_damaged_record_of_snakemakes_is_made_again(tmp_path, monkeypatch, folder, content):
    monkeypatch.chdir(tmp_path)
    record = damage(tmp_path / "results/.provenance" / folder / "cmVzdWx0cy9t", content)
    keep_records_with_results()
    mark = tmp_path / "results/.provenance/incomplete/cmVzdWx0cy9t"
    assert read_record(mark, {"external_jobid": type(None)})
    assert folder == "incomplete" or not record.exists()
    before = mark.stat().st_mtime_ns
    keep_records_with_results()
    assert mark.stat().st_mtime_ns == before


@pytest.mark.parametrize("place", [".snakemake", ".snakemake/metadata", "results/.provenance/snakemake"])
def test_a_file_in_place_of_a_folder_of_records_stops_no_run(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    damage(tmp_path / place, "noise")
    keep_records_with_results()
    assert (tmp_path / ".snakemake/metadata").is_dir()


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_record_of_a_publication_stops_no_planning(tmp_path, content):
    assert publication_number(damage(tmp_path / "published.json", content)) == 1


@pytest.mark.parametrize("content", DAMAGES)
def test_of_a_damaged_receipt_the_recorded_copy_counts(tmp_path, content):
    receipt = damage(tmp_path / "m" / "deploy" / "receipt.kubernetes.json", content)
    history = ReleaseHistory(ReleaseStore(tmp_path / "m", "kubernetes"), [receipt])
    assert history.live() == {}
    assert history.damaged() == [receipt]
    history.store.ledger.write(receipts={receipt.as_posix(): local_receipt("m", 2)})
    assert history.live()["m"]["number"] == 2
    damage(history.store.ledger.file, content)
    assert history.live() == {}
    assert history.pending() is None


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_history_begins_anew(tmp_path, content):
    history = Ledger(damage(tmp_path / "live.json", content))
    assert history.live() == {}
    history.went_live({"m": 1})
    assert history.live() == {"m": 1}


def test_a_folder_in_place_of_the_lock_of_deployments_is_removed(tmp_path):
    damage(tmp_path / "state" / "deploying.lock", None)
    with deployment_lock(tmp_path / "state"):
        assert (tmp_path / "state" / "deploying.lock").is_file()


@pytest.mark.parametrize("text", ["null", "[]", "{}", "", "noise", '{"name": "tiny", "files": null}'])
def test_a_damaged_index_of_a_repository_is_told_in_a_sentence(tmp_path, text):
    index = tmp_path / "repository.json"
    index.write_text(text, encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"repository.json is missing or damaged; remove it and run again"):
        read_index(tmp_path, index)


def test_a_repository_that_differs_from_its_index_is_told_with_the_files(tmp_path):
    damage(tmp_path / "tiny" / "1" / "extra.py", "x")
    write_json(tmp_path / "repository.json", {"name": "tiny", "files": {"labels.txt": "0" * 64}})
    with pytest.raises(SlipwayError, match=r"missing: labels\.txt; not part of it: 1/extra\.py"):
        read_index(tmp_path, tmp_path / "repository.json")
