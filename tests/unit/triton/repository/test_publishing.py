"""Publishing a repository: beside the old versions, read back, index last, and whole or not at all."""

import json
import os
import threading
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.artifacts.published import addresses, key_pair, published, refused

from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError
from slipway.triton.repository import publishing, storage
from slipway.triton.repository.publishing import destination_of, require_published
from slipway.triton.repository.signing import sign
from slipway.triton.repository.storage import Storage


@pytest.fixture(params=["folder", "file", "memory"])
def destination(request, tmp_path):
    """Return where versions go, in each kind of storage."""
    return destination_of(addresses(tmp_path)[request.param], "slipway", "m", "h100")


def test_versions_lie_beside_each_other_with_their_files_and_indexes(destination, of_engine):
    a, b = of_engine("a"), of_engine("b")
    told = a.publish(destination)
    assert told == {
        "destination": destination,
        "version": a.version,
        "files": 4,
        "bytes": sum(path.stat().st_size for path in a.model.rglob("*") if path.is_file()),
        "copied": True,
        "pruned": [],
    }
    b.publish(destination)
    found = published(destination)
    assert set(found) == {a.version, b.version}
    assert found[a.version][f"{a.version}/m_trt/1/model.plan"] == b"a"
    assert found[b.version][f"{b.version}/m_trt/1/model.plan"] == b"b"
    index = json.loads(found[b.version][f"{b.version}.json"])
    assert index["index"] == read_json(b.index)
    assert index["index_sha256"] == sha256(b.index)


def test_it_lies_where_the_manifests_look_for_it(tmp_path):
    places = addresses(tmp_path)
    assert destination_of(places["folder"] + "/", "a/b", "m", "l4") == f"{tmp_path}/claim/a/b/m/l4"
    assert destination_of(places["memory"], "", "m", "l4") == f"{places['memory']}/m/l4"
    assert destination_of("memory://", "", "m", "l4") == "memory://m/l4"


def test_what_is_there_whole_is_not_copied_again(destination, of_engine, monkeypatch):
    of_engine("a").publish(destination)
    b = of_engine("b")
    b.publish(destination)
    before = published(destination)
    monkeypatch.setattr(storage.Storage, "put", None)
    monkeypatch.setattr(storage.Storage, "write", None)
    assert b.publish(destination)["copied"] is False
    assert published(destination) == before


@pytest.mark.parametrize("damage", ["edited", "missing", "added"])
def test_what_was_tampered_with_is_found_and_mended(destination, of_engine, damage):
    a = of_engine("a")
    a.publish(destination)
    good, there = published(destination), storage.Storage(destination)
    engine = f"{a.version}/m_trt/1/model.plan"
    if damage == "missing":
        there.remove(engine)
    else:
        there.write(engine if damage == "edited" else f"{engine}.bak", b"other")
    assert a.publish(destination)["copied"] is True
    assert published(destination) == good


def test_an_index_that_was_edited_is_written_anew(destination, of_engine):
    a = of_engine("a")
    a.publish(destination)
    good = published(destination)
    storage.Storage(destination).write(f"{a.version}.json", b'{"ordinal": 1, "index": {}}')
    assert a.publish(destination)["copied"] is True
    assert published(destination) == good


def test_a_repository_that_was_edited_is_not_published(in_memory, of_engine):
    a = of_engine("a")
    a.engine.write_text("edited")
    assert "is not what repository.json says" in refused(a, in_memory)
    assert published(in_memory) == {}


# Old versions


def test_the_oldest_go_first_whatever_their_age_on_disk(destination, of_engine):
    versions = [of_engine(engine) for engine in "abcd"]
    pruned = [each.publish(destination, keep=2)["pruned"] for each in versions]
    assert pruned == [[], [], [versions[0].version], [versions[1].version]]
    assert set(published(destination)) == {versions[2].version, versions[3].version}
    assert not any(storage.Storage(destination).files(each.version) for each in versions[:2])


def test_what_is_protected_stays_and_so_does_the_new_one(destination, of_engine):
    versions = [of_engine(engine) for engine in "abc"]
    for each in versions[:2]:
        each.publish(destination)
    told = versions[2].publish(destination, keep=1, protected=[versions[0].version])
    assert told["pruned"] == [versions[1].version]
    assert set(published(destination)) == {versions[0].version, versions[2].version}


def test_what_is_published_again_is_the_newest(destination, of_engine):
    versions = [of_engine(engine) for engine in "abc"]
    for each in (*versions[:2], versions[0]):
        each.publish(destination)
    assert versions[2].publish(destination, keep=2)["pruned"] == [versions[1].version]


def test_an_old_version_that_cannot_be_removed_is_told_and_the_new_one_stands(in_memory, of_engine, monkeypatch, capfd):
    a, b = of_engine("a"), of_engine("b")
    a.publish(in_memory)

    def denied(*_, **__):
        raise PermissionError

    monkeypatch.setattr(MemoryFileSystem, "rm_file", denied)
    assert b.publish(in_memory, keep=1)["pruned"] == []
    assert f"version {a.version} is old, but was not removed whole" in capfd.readouterr().err
    assert b.version in published(in_memory)


def test_what_nobody_finished_is_told_and_left_alone(destination, of_engine, capfd):
    storage.Storage(destination).write("v0123456789ab/m_trt/labels.txt", b"cat")
    of_engine("a").publish(destination, keep=1)
    assert "v0123456789ab has no index" in capfd.readouterr().err
    assert storage.Storage(destination).read("v0123456789ab/m_trt/labels.txt") == b"cat"


# Several at once, and folders


def test_two_publishers_of_the_same_version_do_no_harm(in_folder, of_engine):
    a, told, start = of_engine("a"), [], threading.Barrier(4)

    def run():
        start.wait()
        told.append(a.publish(in_folder)["version"])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert told == [a.version] * 4
    assert set(published(in_folder)) == {a.version}
    assert a.publish(in_folder)["copied"] is False


def test_a_version_published_at_the_same_moment_is_not_removed(in_folder, of_engine, monkeypatch):
    """The second publisher looked before the first one had written its index, so both took the same ordinal."""
    a, b, looked, real = of_engine("a"), of_engine("b"), [], publishing._documents
    a.publish(in_folder)
    monkeypatch.setattr(publishing, "_documents", lambda *there: real(*there) if looked else looked.append(1) or {})
    assert b.publish(in_folder, keep=1)["pruned"] == []
    assert set(published(in_folder)) == {a.version, b.version}


def test_what_a_killed_publisher_left_in_a_folder_goes(in_folder, of_engine):
    a = of_engine("a")
    left = Path(in_folder) / f".partial.{a.version}.0123"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    a.publish(in_folder)
    assert not list(Path(in_folder).rglob(".*"))


def test_servers_of_another_user_may_read_it(in_folder, of_engine):
    before = os.umask(0o077)
    try:
        of_engine("a").publish(in_folder)
    finally:
        os.umask(before)
    paths = [Path(in_folder), *Path(in_folder).rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644, 0o755}


def change(destination, name, content):
    """Write something else at a name of storage."""
    Storage(destination).write(name, content)


@pytest.mark.parametrize("file", ["m_trt/1/model.plan", "m_trt/labels.txt", "m_trt/1/more.py"])
def test_a_published_version_that_was_changed_is_not_what_a_rollback_goes_to(destination, of_engine, file):
    a = of_engine("a")
    a.publish(destination)
    require_published(destination, a.version, read_json(a.index))
    kind = "not part of it" if "more" in file else "edited"
    change(destination, f"{a.version}/{file}", b"something else")
    with pytest.raises(SlipwayError, match=rf"is not what was published \({kind}: {a.version}/{file}\)"):
        require_published(destination, a.version, read_json(a.index))


def test_a_published_index_that_was_edited_to_fit_is_not_what_a_rollback_goes_to(destination, of_engine):
    a, b = of_engine("a"), of_engine("b")
    a.publish(destination)
    document = json.loads(Storage(destination).read(f"{a.version}.json"))
    fitting = document | {"index": read_json(b.index)}
    change(destination, f"{a.version}.json", json.dumps(fitting).encode())
    change(destination, f"{a.version}/m_trt/1/model.plan", b"b")
    with pytest.raises(SlipwayError, match=r"edited: .*/model.plan; edited or missing: .*\.json"):
        require_published(destination, a.version, read_json(a.index))


def test_a_published_version_is_verified_with_its_signature_where_a_key_is_given(destination, of_engine, tmp_path):
    private, public = key_pair(tmp_path)
    _, other = key_pair(tmp_path, "other")
    a, signature = of_engine("a"), tmp_path / "a.sig"
    a.publish(destination)
    with pytest.raises(SlipwayError, match="is not signed"):
        require_published(destination, a.version, read_json(a.index), public)
    sign(a.folder, private, signature)
    a.publish(destination, signature=signature)
    require_published(destination, a.version, read_json(a.index), public)
    with pytest.raises(SlipwayError, match="made with another key"):
        require_published(destination, a.version, read_json(a.index), other)
