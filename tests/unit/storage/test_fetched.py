"""A checkpoint in storage: what planning knows of it, and the copy that jobs read."""

import errno
import json
import sys
import threading
import uuid
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import onnx
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from onnx import TensorProto, helper, numpy_helper

from slipway.core.errors import SlipwayError
from slipway.core.os_errors import explained
from slipway.storage.fetched import fetched, planned


class Storage:
    """Files in memory, as an object store has them. `folder` is where their copies go."""

    def __init__(self, folder):
        self.root, self.folder = f"memory://{uuid.uuid4().hex}", folder
        self.address = f"{self.root}/best.pth"

    def put(self, content, name="best.pth"):
        """Upload a file."""
        fsspec.open(f"{self.root}/{name}", "wb").fs.pipe_file(f"{self.root}/{name}", content)

    def plan(self):
        """Return the fingerprint as planning asks for it."""
        return planned(self.address, self.folder).fingerprint

    def fetch(self, fingerprint=None):
        """Return the copy as a job fetches it."""
        return fetched(self.address, fingerprint or self.plan(), self.folder)


@pytest.fixture
def storage(tmp_path):
    """Return storage with one checkpoint."""
    made = Storage(tmp_path / "fetched")
    made.put(b"first")
    return made


@pytest.fixture
def downloads(monkeypatch):
    """Return the list of downloads, which grows with each one."""
    made, real = [], MemoryFileSystem.get_file

    def get_file(self, path, *args, **options):
        made.append(path)
        return real(self, path, *args, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    return made


@pytest.fixture
def web(tmp_path):
    """Serve a folder over HTTP; return (the folder, its address, the handler)."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        dated = True

        def do_HEAD(self):
            if "private" in self.path:
                self.send_error(403)
            else:
                super().do_HEAD()

        def do_GET(self):
            if "private" in self.path:
                self.send_error(403)
            else:
                super().do_GET()

        def send_header(self, name, value):
            if self.dated or name != "Last-Modified":
                super().send_header(name, value)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}", Handler
    server.shutdown()
    server.server_close()


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


# A web server


def test_a_checkpoint_of_a_web_server_is_fetched_and_a_new_one_is_stale(web, tmp_path):
    folder, root, _ = web
    (folder / "best.pth").write_bytes(b"first")
    address = f"{root}/best.pth?download=true"
    before = planned(address, tmp_path / "fetched").fingerprint
    assert fetched(address, before, tmp_path / "fetched").read_bytes() == b"first"
    (folder / "best.pth").write_bytes(b"second")
    assert planned(address, tmp_path / "fetched").fingerprint != before


def test_what_a_web_server_refuses_is_told_by_its_reason(web, tmp_path):
    root = web[1]
    with pytest.raises(SlipwayError, match=r"lost\.pth could not be read: it does not exist"):
        planned(f"{root}/lost.pth", tmp_path)
    with pytest.raises(SlipwayError, match=r"private\.pth could not be read: permission denied"):
        planned(f"{root}/private.pth", tmp_path)
    closed = root.replace(root.rpartition(":")[2], "9")
    with pytest.raises(SlipwayError, match=r"could not be read: .*that it can be reached.*no copy of it"):
        planned(f"{closed}/best.pth", tmp_path)


def test_a_web_server_that_does_not_tell_files_apart_is_refused(web, tmp_path):
    folder, root, handler = web
    handler.dated = False
    (folder / "best.pth").write_bytes(b"first")
    with pytest.raises(SlipwayError, match=r"neither ETag nor Last-Modified, .*download it and set `weights`"):
        planned(f"{root}/best.pth", tmp_path)


# ONNX files with external data


def onnx_file(location):
    """Return the bytes of an ONNX file whose weights lie at `location`."""
    weights = numpy_helper.from_array(np.zeros((2, 2), np.float32), "w")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", shape[:1], shape[1:], [weights])
    return helper.make_model(graph).SerializeToString()


@pytest.fixture
def exported(storage):
    """Return storage with an ONNX file whose weights lie beside it."""
    storage.address = f"{storage.root}/model.onnx"
    storage.put(onnx_file("data/model.bin"), "model.onnx")
    storage.put(b"w" * 16, "data/model.bin")
    return storage


def test_the_external_data_of_an_onnx_file_are_fetched_and_new_ones_are_stale(exported):
    before = exported.plan()
    path = exported.fetch()
    assert (path.parent / "data" / "model.bin").read_bytes() == b"w" * 16
    assert onnx.load(path, load_external_data=False).graph.initializer[0].name == "w"
    assert exported.plan() == before
    exported.put(b"v" * 16, "data/model.bin")
    after = exported.plan()
    assert after != before
    assert (exported.fetch().parent / "data" / "model.bin").read_bytes() == b"v" * 16
    assert exported.plan() == after


@pytest.mark.parametrize("location", ["../best.pth", "/etc/passwd", "fetched.json"])
def test_external_data_that_lie_elsewhere_are_refused(exported, location):
    exported.put(onnx_file(location), "model.onnx")
    with pytest.raises(SlipwayError, match=r"model\.onnx names .* as its external data"):
        exported.fetch()
    assert not list(exported.folder.glob("*/model.onnx"))


def test_external_data_that_are_missing_are_told(exported):
    fsspec.filesystem("memory").rm(f"{exported.root}/data/model.bin")
    with pytest.raises(SlipwayError, match=r"data/model\.bin could not be read: it does not exist"):
        exported.fetch()


def test_a_reader_of_other_files_need_not_know_onnx(storage):
    storage.address = f"{storage.root}/broken.onnx"
    storage.put(b"no ONNX", "broken.onnx")
    assert storage.fetch().read_bytes() == b"no ONNX"
