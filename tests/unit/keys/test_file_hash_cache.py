import os
import time

import pytest

from slipway.core.artifacts import sha256
from slipway.keys.file_hash_cache import FileHashCache


@pytest.fixture
def file(tmp_path):
    """Return a file that was written a while ago."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    return path


@pytest.fixture
def settled(monkeypatch):
    monkeypatch.setattr("slipway.keys.file_hash_cache.SETTLED_AFTER_S", -1.0)


def counting(question):
    """Return a function that answers like `question`, and the list of what it was asked."""
    asked = []

    def answer(path):
        asked.append(path)
        return question(path)

    return answer, asked


def test_a_file_that_stays_is_read_once(file, tmp_path, settled):
    answer, asked = counting(sha256)
    first = FileHashCache(tmp_path / "store.json")
    assert first.remember("sha256", file, answer) == first.remember("sha256", file, answer) == sha256(file)
    first.save()
    assert FileHashCache(tmp_path / "store.json").remember("sha256", file, answer) == sha256(file)
    assert len(asked) == 1


def test_a_file_that_was_just_written_is_read_again(file, monkeypatch):
    monkeypatch.setattr("slipway.keys.file_hash_cache.SETTLED_AFTER_S", 3600.0)  # however long this test takes
    answer, asked = counting(sha256)
    hashes = FileHashCache()
    hashes.remember("sha256", file, answer)
    hashes.remember("sha256", file, answer)
    assert len(asked) == 2


def test_other_content_is_seen(file, settled):
    hashes = FileHashCache()
    before = hashes.sha256(file)
    file.write_bytes(b"after it")
    assert hashes.sha256(file) == sha256(file) != before


def test_content_of_the_same_length_and_time_is_seen(file, settled):
    """As when an older checkpoint is copied over a newer one with its times kept."""
    hashes = FileHashCache()
    then = time.time() - 100
    os.utime(file, (then, then))
    before = hashes.sha256(file)
    file.write_bytes(b"beforE")
    os.utime(file, (then, then))
    assert hashes.sha256(file) == sha256(file) != before


def test_a_touched_file_has_the_same_hash(file, settled):
    hashes = FileHashCache()
    before = hashes.sha256(file)
    os.utime(file)
    assert hashes.sha256(file) == before


@pytest.mark.parametrize("content", ["", "not JSON", "[1]"])
def test_a_broken_store_costs_time_only(content, file, tmp_path):
    store = tmp_path / "store.json"
    store.write_text(content)
    assert FileHashCache(store).sha256(file) == sha256(file)


def test_many_files_have_one_hash_of_names_and_contents(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_text("x")
    (tmp_path / "2").write_text("y")
    files = [tmp_path / "a" / "1", tmp_path / "2"]
    before = FileHashCache().of_many(files, tmp_path)
    (tmp_path / "2").write_text("z")
    assert FileHashCache().of_many(files, tmp_path) != before
    (tmp_path / "2").write_text("y")
    assert FileHashCache().of_many(files, tmp_path) == before
    renamed = (tmp_path / "2").rename(tmp_path / "3")
    assert FileHashCache().of_many([files[0], renamed], tmp_path) != before


def test_a_store_that_cannot_be_written_is_done_without(file, tmp_path, settled):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder is needed")
    hashes = FileHashCache(blocked / "store.json")
    hashes.sha256(file)
    hashes.save()
    assert blocked.read_text() == "a file where a folder is needed"
