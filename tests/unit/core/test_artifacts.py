import hashlib
import stat

import pytest

from slipway.core.artifacts import (
    atomic_write,
    atomic_write_together,
    make_folder,
    make_way_for_file,
    read_json,
    sha256,
    tree_digest,
    write_json,
)
from slipway.core.errors import SlipwayError


def names(folder) -> list[str]:
    """Return everything below a folder, hidden files included."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fill(folder, **files) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_sha256_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 100_000)
    assert sha256(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


# Writing whole


def test_a_file_is_written_with_the_folders_it_needs(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    with atomic_write(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "new"
    assert names(tmp_path) == ["a", "a/b", "a/b/c.txt"]


def test_the_temporary_has_the_suffix_and_the_folder_of_the_file(tmp_path):
    with atomic_write(tmp_path / "trace.pt.trace.json.gz") as partial:
        assert partial.name.endswith("trace.pt.trace.json.gz")
        assert partial.parent == tmp_path
        partial.touch()


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")
    with atomic_write(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("failure", [ValueError, OSError, KeyboardInterrupt])
def test_a_failing_writer_leaves_the_old_file_and_no_temporary(tmp_path, failure):
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")

    def write():
        with atomic_write(path) as partial:
            partial.write_text("half", encoding="utf-8")
            raise failure("stop")

    with pytest.raises(failure):
        write()
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["file"]


def test_a_writer_that_fails_at_once_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="stop"), atomic_write(tmp_path / "file"):
        raise ValueError("stop")
    assert names(tmp_path) == []


@pytest.fixture
def pair(tmp_path):
    """Return a graph and its weights, which lie in a folder."""
    fill(tmp_path / "net", **{"net.onnx": "old", "net.onnx.data": "old"})
    return [tmp_path / "net" / name for name in ("net.onnx", "net.onnx.data")]


def test_files_that_name_each_other_are_replaced_together(pair):
    with atomic_write_together(pair) as partials:
        assert [path.name for path in partials] == [path.name for path in pair]
        for partial in partials:
            partial.write_text("new", encoding="utf-8")
        (partials[0].parent / "left by a library").touch()
        assert [path.read_text(encoding="utf-8") for path in pair] == ["old", "old"]
    assert [path.read_text(encoding="utf-8") for path in pair] == ["new", "new"]
    assert names(pair[0].parent) == ["net.onnx", "net.onnx.data"]


@pytest.mark.parametrize("failure", [ValueError("stop"), None])
def test_of_files_that_name_each_other_none_is_replaced_alone(pair, failure):
    def write():
        with atomic_write_together(pair) as (partial, _):
            partial.write_text("new", encoding="utf-8")
            if failure:
                raise failure

    with pytest.raises((ValueError, FileNotFoundError)):
        write()
    assert [path.read_text(encoding="utf-8") for path in pair] == ["old", "old"]
    assert names(pair[0].parent) == ["net.onnx", "net.onnx.data"]


def test_what_a_killed_writer_left_is_removed(pair):
    left = pair[0].with_name(f".partial.1.{pair[0].name}")
    fill(left, **{"net.onnx.data": "half"})
    with atomic_write_together(pair) as partials:
        for partial in partials:
            partial.touch()
    assert names(pair[0].parent) == ["net.onnx", "net.onnx.data"]


def test_a_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "folder"
    fill(folder, old="1", both="1")
    with atomic_write(folder) as partial:
        fill(partial, new="2", both="2")
        fill(partial / "below", deep="2")
    assert names(tmp_path) == ["folder", "folder/below", "folder/below/deep", "folder/both", "folder/new"]
    assert (folder / "both").read_text(encoding="utf-8") == "2"


def test_a_failing_writer_leaves_the_old_folder_and_no_temporary(tmp_path):
    folder = tmp_path / "folder"
    fill(folder, old="1")

    def write():
        with atomic_write(folder) as partial:
            fill(partial, new="2")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write()
    assert names(tmp_path) == ["folder", "folder/old"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_writer_that_writes_nothing_leaves_the_old_one(tmp_path, kind):
    path = tmp_path / "result"
    if kind == "folder":
        fill(path, old="1")
    else:
        path.write_text("1", encoding="utf-8")
    before = names(tmp_path)
    with pytest.raises(OSError, match="result"), atomic_write(path):
        pass
    assert names(tmp_path) == before


def test_what_is_written_is_readable_by_a_server_of_another_user(tmp_path):
    folder = tmp_path / "folder"
    with atomic_write(folder) as partial:
        fill(partial, weights="1")
        (partial / "weights").chmod(0o600)
    assert stat.S_IMODE((folder / "weights").stat().st_mode) == 0o644


# JSON


def test_a_record_reads_back(tmp_path):
    content = {"text": "ü", "number": 0.1, "list": [1, None, True], "map": {"a": {}}}
    write_json(tmp_path / "below" / "record.json", content)
    assert read_json(tmp_path / "below" / "record.json") == content


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "record.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert read_json(path) == {"old": 1}
    assert names(tmp_path) == ["record.json"]


def test_a_missing_record_is_named_with_what_makes_it(tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(SlipwayError, match="snakemake") as caught:
        read_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00", b"not json"])
def test_a_broken_record_is_named_with_what_to_do(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(SlipwayError, match="remove it") as caught:
        read_json(path)
    assert str(path) in str(caught.value)


# Digests of folders


def test_a_tree_digest_names_every_file_by_its_path(tmp_path):
    fill(tmp_path / "m", config="c")
    fill(tmp_path / "m" / "1", engine="e")
    assert tree_digest(tmp_path / "m") == {
        "1/engine": hashlib.sha256(b"e").hexdigest(),
        "config": hashlib.sha256(b"c").hexdigest(),
    }


def test_hidden_files_are_left_out(tmp_path):
    fill(tmp_path / "m", config="c", **{".snakemake_timestamp": "now"})
    fill(tmp_path / "m" / "1", **{".hidden": "h"})
    assert list(tree_digest(tmp_path / "m")) == ["config"]


def test_a_tree_digest_is_independent_of_the_order_of_writing(tmp_path):
    fill(tmp_path / "one", a="1", b="2")
    fill(tmp_path / "other", b="2", a="1")
    assert list(tree_digest(tmp_path / "one").items()) == list(tree_digest(tmp_path / "other").items())


@pytest.mark.parametrize("edit", ["change", "rename", "add", "remove"])
def test_an_edit_changes_a_tree_digest(tmp_path, edit):
    folder = tmp_path / "m"
    fill(folder, a="1", b="2")
    before = tree_digest(folder)
    if edit == "change":
        (folder / "a").write_text("2", encoding="utf-8")
    elif edit == "rename":
        (folder / "a").rename(folder / "c")
    elif edit == "add":
        (folder / "c").touch()
    else:
        (folder / "a").unlink()
    assert tree_digest(folder) != before


@pytest.mark.parametrize("in_the_way", ["a file", "a broken link", "nothing", "a folder"])
def test_a_folder_of_our_own_is_made_whatever_is_in_its_place(tmp_path, in_the_way):
    folder = tmp_path / "state" / "trial"
    put_in_the_way(folder, in_the_way)
    make_folder(folder)
    assert folder.is_dir()
    assert [path.name for path in folder.iterdir()] == (["kept"] if in_the_way == "a folder" else [])


@pytest.mark.parametrize("in_the_way", ["a file", "a broken link", "nothing", "a folder"])
def test_a_file_of_our_own_can_be_written_whatever_is_in_its_place(tmp_path, in_the_way):
    file = tmp_path / "state" / "trial.log"
    put_in_the_way(file, in_the_way)
    make_way_for_file(file)
    file.write_text("written", encoding="utf-8")


def put_in_the_way(path, kind):
    path.parent.mkdir()
    if kind == "a file":
        path.write_text("in the way", encoding="utf-8")
    elif kind == "a broken link":
        path.symlink_to("nowhere")
    elif kind == "a folder":
        path.mkdir()
        (path / "kept").touch()
