"""The program that publishes, and what it says when storage fails."""

import errno
import shutil
import sys
from pathlib import Path

import pytest
from helpers.artifacts.published import Failing, addresses, refused

import publish_repository as program
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.release_store import ReleaseStore
from slipway.triton.repository.publishing import destination_of
from slipway.triton.repository.versions import contents, publication_number


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "the disk is full"),
        (OSError(errno.EROFS, "x"), "it can only be read"),
        (PermissionError(errno.EACCES, "x"), "permission denied"),
        (FileNotFoundError("bucket"), "it does not exist; create it first"),
        (TimeoutError("no answer from https://host/key?signature=secret"), "TimeoutError: no answer from"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_of_the_storage_is_told_in_words(in_memory, of_engine, monkeypatch, error, words):
    Failing(monkeypatch, error, at=1)
    message = refused(of_engine("a"), in_memory)
    assert words in message
    assert in_memory in message
    assert "secret" not in message


def test_a_folder_without_permission_is_told(in_folder, of_engine, monkeypatch):
    a = of_engine("a")

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    assert "permission denied" in refused(a, in_folder)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_claim_that_is_not_mounted_is_never_made_up(tmp_path, form):
    with pytest.raises(SlipwayError, match="is the claim mounted there"):
        destination_of(form.format(tmp_path / "claim"), "slipway", "m", "cpu")
    assert not (tmp_path / "claim").exists()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense://bucket", "no storage is known by nonsense://"),
        ("s3://bucket/prefix", "pip install s3fs"),
        ("oss://bucket", "pip install ossfs"),
        ("filecache::memory://bucket", "leave it out"),
        ("sftp://me:hunter2@host/folder", "holds a password"),
    ],
)
def test_an_address_that_cannot_be_used_is_told(address, words, monkeypatch):
    for package in ("s3fs", "ossfs"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(SlipwayError) as caught:
        destination_of(address, "", "m", "cpu")
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


# The program


def options(repository, destination, record):
    return [
        *("--model", "m", "--target", "cpu", "--folder", repository.model, "--index", repository.index),
        *("--to", destination, "--claim-path", "slipway", "--record", record),
    ]


def run(repository, destination, record, *more):
    program.main(program.parse_arguments([str(word) for word in (*options(repository, destination, record), *more)]))


def test_the_program_writes_down_what_is_published(tmp_path, of_engine, capfd):
    claim, record, a = addresses(tmp_path)["folder"], tmp_path / "published.json", of_engine("a")
    run(a, claim, record)
    written = read_json(record)
    assert written["destination"] == f"{claim}/slipway/m/cpu"
    assert (written["version"], written["index_sha256"]) == (a.version, sha256(a.index))
    assert (written["copied"], written["signed"]) == (True, False)
    assert "4 files" in capfd.readouterr().err
    run(a, claim, record)
    assert "nothing was copied" in capfd.readouterr().err


def test_what_is_gone_from_its_folder_is_published_again_and_then_the_record_holds(tmp_path, of_engine):
    claim, record, a = addresses(tmp_path)["folder"], tmp_path / "published.json", of_engine("a")
    assert publication_number(record) == 1
    run(a, claim, record)
    assert publication_number(record) == 1
    version = Path(claim) / "slipway" / "m" / "cpu" / a.version
    for gone, number in ((version, 2), (version.with_name(f"{a.version}.json"), 3)):
        (shutil.rmtree if gone.is_dir() else Path.unlink)(gone)
        assert publication_number(record) == number
        run(a, claim, record, "--publication", number)
        assert gone.exists()
        assert publication_number(record) == number
    shutil.rmtree(claim)
    assert publication_number(record) == 4


def damage(path):
    """Flip a bit of a file, or put one there."""
    content = bytearray(path.read_bytes() if path.exists() else b"more")
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["m_trt/1/model.plan", "m_trt/labels.txt", "m_trt/1/more.py", "../{version}.json"])
def test_a_published_version_that_was_damaged_is_published_again(tmp_path, of_engine, file):
    claim, record, a = addresses(tmp_path)["folder"], tmp_path / "published.json", of_engine("an engine")
    run(a, claim, record)
    version = Path(claim) / "slipway" / "m" / "cpu" / a.version
    good = contents(version)
    damage(version / file.format(version=a.version))
    assert publication_number(record) == 2
    run(a, claim, record, "--publication", 2)
    assert publication_number(record) == 2
    assert contents(version) == good


def test_storage_that_is_no_folder_is_not_asked_whether_it_was_emptied(tmp_path, of_engine):
    record = tmp_path / "published.json"
    run(of_engine("a"), addresses(tmp_path)["memory"], record, "--publication", 7)
    assert publication_number(record) == 7


def test_what_is_live_somewhere_stays_however_often_another_is_published(tmp_path, of_engine):
    claim, results = addresses(tmp_path)["folder"], tmp_path / "results" / "m"
    record, first = results / "cpu" / "published.json", of_engine("a")
    run(first, claim, record)
    of_target = {"served_as": {"value": "m_trt"}, "version": {"value": first.version}}
    deployed = results / "deploy" / "kubernetes" / "1"
    write_json(deployed / "deploy" / "manifests.json", {"model": "m", "key": {}, "values": {"cpu": of_target}})
    ReleaseStore(results, "kubernetes").enter("m_trt", 1, contents(deployed))
    versions = [of_engine(engine) for engine in ("b", "c", "d")]
    for each in versions:
        run(each, claim, record, "--keep-versions", 1)
    left = {path.stem for path in (Path(claim) / "slipway" / "m" / "cpu").glob("*.json")}
    assert left == {first.version, versions[-1].version}


def test_random_weights_are_not_published(tmp_path, of_engine):
    claim = addresses(tmp_path)["folder"]
    with pytest.raises(SlipwayError, match=r"m has random weights.*not published"):
        run(of_engine("a", origin="rehearsal"), claim, tmp_path / "published.json")
    assert not list(Path(claim).iterdir())
