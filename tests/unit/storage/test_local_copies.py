"""A checkpoint in storage: what planning knows of it, and the copy that jobs read."""

import errno
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from slipway.core.errors import SlipwayError
from slipway.core.os_errors import explained
from slipway.storage.local_copies import planned


@pytest.fixture
def downloads(monkeypatch):
    """Return the list of downloads, which grows with each one."""
    made, real = [], MemoryFileSystem.get_file

    def get_file(self, path, *args, **options):
        made.append(path)
        return real(self, path, *args, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    return made


def test_a_checkpoint_is_fetched_once_and_read_where_it_lies(storage, downloads):
    assert storage.fetch().read_bytes() == b"first"
    assert storage.fetch().name == "best.pth"
    assert len(downloads) == 1


def test_planning_downloads_nothing(storage, downloads):
    storage.plan()
    assert downloads == []
    assert not storage.folder.exists()


def test_a_new_upload_under_the_same_name_is_stale_and_fetched(storage):
    before = storage.plan()
    storage.fetch()
    assert storage.plan() == before
    storage.put(b"other")
    assert storage.plan() != before
    assert storage.fetch().read_bytes() == b"other"


def test_of_two_jobs_at_once_one_fetches_and_the_other_waits(storage, downloads):
    fingerprint, start, read = storage.plan(), threading.Barrier(4), []

    def run():
        start.wait()
        read.append(storage.fetch(fingerprint).read_bytes())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [b"first"] * 4
    assert len(downloads) == 1


def test_half_a_download_is_never_used(storage, monkeypatch):
    old = storage.fetch()
    storage.put(b"second")
    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "get_file", lambda _, path, target: Path(target).write_bytes(b"sec"))
        with pytest.raises(SlipwayError, match="arrived with 3 of 6 bytes"):
            storage.fetch()
    assert old.read_bytes() == b"first"
    assert not list(storage.folder.glob(".partial*"))
    assert storage.fetch().read_bytes() == b"second"


def test_a_copy_that_was_edited_is_fetched_again(storage):
    storage.fetch().write_bytes(b"forged")
    assert storage.fetch().read_bytes() == b"first"


def test_a_file_that_changes_while_it_is_fetched_is_told(storage, monkeypatch):
    fingerprint, real = storage.plan(), MemoryFileSystem.get_file

    def get_file(self, path, target):
        real(self, path, target)
        storage.put(b"newer")

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    with pytest.raises(SlipwayError, match=r"changed since this job was planned .*; run snakemake again"):
        storage.fetch(fingerprint)
    assert not [path for path in storage.folder.rglob("*") if path.suffix != ".lock"]


def test_a_full_disk_is_told_before_the_download(storage, downloads, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2))
    with pytest.raises(SlipwayError, match=r"the disk of .*fetched has 0 MB left; free some space"):
        storage.fetch()
    assert downloads == []


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError(errno.ENOSPC, "No space left on device"), OSError), (ConnectionResetError("reset"), SlipwayError)],
    ids=["full disk", "lost connection"],
)
def test_a_download_that_breaks_off_leaves_the_old_copy(storage, monkeypatch, error, told):
    old = storage.fetch()
    storage.put(b"second")

    def get_file(_, path, target):
        Path(target).write_bytes(b"sec")
        raise error

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    with pytest.raises(told) as caught:
        storage.fetch()
    assert old.read_bytes() == b"first"
    assert not list(storage.folder.glob(".partial*"))
    assert "could not be fetched: ConnectionResetError: reset" in str(caught.value) or explained(caught.value)


def test_a_vanished_object_is_told(storage):
    storage.fetch()
    fsspec.filesystem("memory").rm(storage.address)
    with pytest.raises(SlipwayError, match=r"best\.pth could not be read: it does not exist; .*correct `weights`"):
        storage.plan()


def test_no_permission_is_told(storage, monkeypatch):
    def denied(*_, **__):
        raise PermissionError

    monkeypatch.setattr(MemoryFileSystem, "info", denied)
    with pytest.raises(SlipwayError, match=r"permission denied; .*credentials in the environment"):
        storage.plan()


def test_without_a_connection_the_fetched_copy_is_used_with_a_notice(storage, monkeypatch):
    before = storage.plan()
    copy = storage.fetch()

    def away(*_, **__):
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr(MemoryFileSystem, "info", away)
    plan = planned(storage.address, storage.folder)
    assert plan.fingerprint == before
    assert "nobody listens" in plan.notice
    assert "the copy that was fetched at 20" in plan.notice
    assert storage.fetch(before) == copy


def test_without_a_connection_and_without_a_copy_it_is_told(storage, monkeypatch):
    def away(*_, **__):
        raise TimeoutError

    monkeypatch.setattr(MemoryFileSystem, "info", away)
    with pytest.raises(SlipwayError, match=r"could not be read: TimeoutError.*; no copy of it was fetched before"):
        storage.plan()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense://bucket/best.pth", "no storage is known by nonsense://; set `weights` in config.yaml to a path"),
        ("s3://bucket/best.pth", "the package for s3:// is not installed: pip install s3fs"),
        ("simplecache::memory://bucket/best.pth", "leave it out"),
    ],
)
def test_storage_that_cannot_be_used_is_told(tmp_path, address, words, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    with pytest.raises(SlipwayError) as caught:
        planned(address, tmp_path)
    assert words in str(caught.value)


def test_a_folder_is_no_checkpoint(storage):
    with pytest.raises(SlipwayError, match="is a folder; name a file in it"):
        planned(storage.root, storage.folder)


@pytest.mark.parametrize("damage", ["", "{}", '{"address": "s3://other"}'])
def test_a_damaged_record_of_a_copy_counts_as_none(storage, damage):
    record = storage.fetch().with_name("fetched.json")
    record.write_text(damage)
    assert storage.fetch().read_bytes() == b"first"
    assert json.loads(record.read_text(encoding="utf-8"))["address"] == storage.address
