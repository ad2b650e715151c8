import os
import time
from dataclasses import replace

import numpy as np
import pytest
from helpers.artifacts.published import key_pair
from helpers.models.classifier_contract import classifier
from helpers.models.served_pictures import write_reference

from slipway.core.artifacts import read_json, remove, tree_digest, write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.release import Part
from slipway.triton.repository.model_config import Served, model_config, read_config, write_config
from slipway.triton.repository.signing import sign
from slipway.triton.repository.versions import contents


@pytest.fixture
def made(tmp_path):
    """Return a function that writes a model folder with some engine; it returns the part of a release."""

    def make(engine, max_batch=4):
        folder = tmp_path / f"made {engine}" / "m_trt"
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "model.xml").write_text(engine)
        (folder / "labels.txt").write_text("cat\ndog\n")
        served = Served("m_trt", "openvino", "fp32", classifier("float32", 64, 2), max_batch, 1)
        for name, backend in {"config.pbtxt": "openvino", "configs/python.pbtxt": "python"}.items():
            write_config(folder / name, model_config(served, backend))
        reference = folder.with_name("reference_outputs.npz")
        write_reference(reference, [np.zeros((1, 3, 64, 64), np.float32)], [np.ones((1, 2), np.float32)])
        index = {"name": "m_trt", "files": tree_digest(folder), "accuracy_limits": {"min_cosine": 0.9}}
        write_json(folder.with_name("repository.json"), index)
        return Part("m", "cpu", folder, folder.with_name("repository.json"), reference)

    return make


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


def test_versions_lie_beside_each_other_and_the_same_is_not_copied_again(store, made):
    assert [store.publish(made(engine)).number for engine in ("a", "b")] == [1, 2]
    store.select("m_trt", 2)
    part = made("c")
    assert store.publish(part).number == store.publish(part).number == 3
    assert store.versions("m_trt") == [1, 2, 3]
    assert store.selected("m_trt") == 2


def test_selecting_a_version_makes_triton_take_it_with_its_own_configuration(store, made):
    store.publish(made("a", max_batch=4))
    store.publish(made("b", max_batch=16))
    assert store.selected("m_trt") is None
    for number, max_batch in ((2, 16), (1, 4)):
        store.select("m_trt", number)
        for name in ("config.pbtxt", "configs/python.pbtxt"):
            config = read_config(store.models / "m_trt" / name)
            assert list(config.version_policy.specific.versions) == [number]
            assert config.max_batch_size == max_batch
        assert (store.models / "m_trt" / "labels.txt").read_text() == "cat\ndog\n"


def test_a_version_knows_what_it_must_answer(store, made):
    published = store.publish(made("a"))
    assert published.expected.labels == ["cat", "dog"]
    assert published.expected.limits == {"min_cosine": 0.9}
    assert published.expected.reference.request.outputs["logits"].tolist() == [[1, 1]]


def test_a_copy_that_is_not_what_was_written_is_refused_and_leaves_nothing(store, made):
    part = made("a")
    (part.repository / "1" / "model.xml").write_text("edited since")
    with pytest.raises(SlipwayError, match="is not what was written"):
        store.publish(part)
    assert store.versions("m_trt") == []
    assert not list(store.models.rglob("*.xml"))


def test_a_version_that_was_damaged_in_the_store_is_put_right_there(store, made):
    given = made("a")
    store.publish(given)
    engine = store.models / "m_trt" / "1" / "model.xml"
    engine.write_text("cut")
    assert store.publish(given).number == 1
    assert engine.read_text() == "a"
    assert store.changes("m_trt", 1) == ""


def test_a_copy_that_was_interrupted_before_its_record_is_taken_for_none(store, made):
    (store.models / "m_trt" / "1").mkdir(parents=True)
    assert store.versions("m_trt") == []
    assert store.publish(made("a")).number == 1


def test_versions_that_were_live_are_kept_and_others_go(store, made):
    for engine in "abcd":
        number = store.publish(made(engine)).number
        if engine != "c":  # it was refused
            store.ledger.went_live({"m_trt": number})
    store.prune("m_trt", keep=2)
    assert store.versions("m_trt") == [2, 4]
    assert store.publish(made("e")).number == 5
    store.prune("m_trt", keep=1)
    assert store.versions("m_trt") == [4]


def test_no_number_is_given_twice_and_what_was_removed_is_not_gone_back_to(store, made):
    for engine in "ab":
        store.ledger.went_live({"m_trt": store.publish(made(engine)).number})
    store.ledger.went_live({"m_trt": 1})
    store.prune("m_trt", keep=1)
    assert store.publish(made("refused")).number == 3
    assert store.ledger.before({"m_trt": 1}) is None


def test_an_index_is_kept_as_it_was(store, made):
    part = made("a")
    published = store.publish(part)
    assert published.index_content == part.index_content
    assert published.index.read_bytes() == part.index.read_bytes()


# What a version consists of, where it lies in the store, and how it is tampered with.
TAMPERED = {
    "models/m_trt/1/model.xml": "a weight bit flipped",
    "models/m_trt/1/model.py": "an adapter put beside the engine",
    "models/m_trt/1/.hidden": "a hidden file",
    "published/m_trt/1/config.pbtxt": "another configuration",
    "published/m_trt/1/configs/python.pbtxt": "another configuration of the Python backend",
    "published/m_trt/1/configs/more.pbtxt": "one more configuration",
    "published/m_trt/1/labels.txt": "dog\ncat\n",
    "published/m_trt/1/reference_outputs.npz": "other answers",
    "published/m_trt/1/index.json": "{}",
}


@pytest.mark.parametrize("file", TAMPERED)
def test_a_version_that_was_changed_in_any_file_is_neither_read_nor_selected(store, made, file):
    store.publish(made("a"))
    store.select("m_trt", 1)
    path = store.folder / file
    kind = "edited" if path.exists() else "not part of it"
    path.write_text(TAMPERED[file])
    for use in (store.published, store.select):
        with pytest.raises(SlipwayError, match=rf"version 1 of m_trt .* is not what was proven \({kind}: {file}\)"):
            use("m_trt", 1)


@pytest.mark.parametrize("file", [file for file in TAMPERED if not file.endswith(("more.pbtxt", ".hidden", ".py"))])
def test_a_file_that_is_missing_or_a_link_is_told(store, made, file):
    store.publish(made("a"))
    path = store.folder / file
    aside = path.with_name("aside")
    path.rename(aside)
    assert f"missing: {file}" in store.changes("m_trt", 1)
    path.symlink_to(aside)
    assert f"edited: {file}" in store.changes("m_trt", 1), "a link may lead elsewhere tomorrow"


@pytest.mark.parametrize("read", [ModelStore.published, ModelStore.proven_by])
def test_a_version_in_the_form_of_an_earlier_slipway_is_refused_in_a_sentence(store, made, read):
    store.publish(made("a"))
    stored = store.ledger.read()["stored"]
    stored["m_trt"]["1"]["golden.npz"] = stored["m_trt"]["1"].pop("reference_outputs.npz")
    store.ledger.write(stored=stored)
    path = store.path("m_trt", 1, "reference_outputs.npz")
    path.rename(path.with_name("golden.npz"))
    with pytest.raises(
        SlipwayError,
        match=r"^version 1 of m_trt was stored by an earlier version of Slipway, and cannot be used; deploy again$",
    ):
        read(store, "m_trt", 1)


def test_an_index_that_was_edited_to_fit_the_tampering_does_not_help(store, made):
    store.publish(made("a"))
    engine = store.models / "m_trt" / "1" / "model.xml"
    engine.write_text("tampered")
    index = store.folder / "published/m_trt/1/index.json"
    said = read_json(index)
    write_json(index, said | {"files": said["files"] | tree_digest(engine.parents[1])})
    with pytest.raises(SlipwayError, match=r"edited: models/m_trt/1/model\.xml, published/m_trt/1/index\.json"):
        store.published("m_trt", 1)


def test_what_was_compiled_beside_a_version_is_removed_before_it_is_selected(store, made):
    store.publish(made("a"))
    compiled = store.models / "m_trt" / "1" / "__pycache__"
    compiled.mkdir()
    (compiled / "model.cpython-311.pyc").write_bytes(b"other code")
    store.select("m_trt", 1)
    assert not compiled.exists()


def test_what_triton_reads_is_written_anew_at_each_selection(store, made):
    store.publish(made("a"))
    store.select("m_trt", 1)
    before = contents(store.models)
    for file in ("config.pbtxt", "configs/python.pbtxt", "labels.txt"):
        (store.models / "m_trt" / file).write_text("edited")
    store.select("m_trt", 1)
    assert contents(store.models) == before


def test_a_version_is_laid_out_as_it_was_built(store, made, tmp_path):
    part = made("a")
    store.publish(part)
    store.lay_out("m_trt", 1, tmp_path / "laid out")
    assert contents(tmp_path / "laid out" / "m_trt") == part.index_content["files"]


@pytest.mark.parametrize("left", ["index.json", "reference_outputs.npz", "config.pbtxt", None])
def test_an_old_version_that_was_half_removed_blocks_no_new_one(store, made, monkeypatch, left):
    for engine in "ab":
        store.ledger.went_live({"m_trt": store.publish(made(engine)).number})
    with monkeypatch.context() as killed:
        killed.setattr("shutil.rmtree", lambda *_, **__: None)
        store.prune("m_trt", keep=1)
    for file in ("index.json", "reference_outputs.npz", "config.pbtxt"):
        if file != left:
            (store.folder / "published/m_trt/1" / file).unlink()
    assert store.versions("m_trt") == [2]
    assert store.publish(made("c")).number == 3
    assert sorted(path.name for path in (store.models / "m_trt").glob("[0-9]*")) == ["2", "3"]
    assert sorted(path.name for path in (store.folder / "published" / "m_trt").iterdir()) == ["2", "3"]


@pytest.mark.parametrize(
    "noise", [None, "", "{}", "null", "[]", "\x00noise", '{"live": 7}', '{"live": [], "stored": []}']
)
def test_a_damaged_record_is_set_aside_and_the_next_version_is_stored_all_the_same(store, made, noise, capsys):
    given = made("a")
    store.publish(given)
    record = store.folder / "published" / "live.json"
    remove(record)
    record.mkdir() if noise is None else record.write_text(noise)
    assert store.ledger.before({"m_trt": 1}) is None
    assert record.exists(), "whoever only reads changes nothing"
    store.ledger.set_aside_if_damaged()
    assert f"{record} is damaged and was set aside as live.json.damaged" in capsys.readouterr().err
    store.select("m_trt", store.publish(given).number)


def test_the_signature_is_kept_beside_the_version_and_is_of_its_files(store, made, tmp_path):
    private, public = key_pair(tmp_path)
    part = made("a")
    aside = [file.rename(tmp_path / file.name) for file in (part.reference, part.index)]
    part = replace(part, reference=aside[0], index=aside[1])
    store.publish(part)
    with pytest.raises(SlipwayError, match="is not signed"):
        store.require_signed("m_trt", 1, public)
    sign(part.repository.parent, private, part.signature)
    store.publish(part)
    store.require_signed("m_trt", 1, public)
    _, other = key_pair(tmp_path, "other")
    with pytest.raises(SlipwayError, match=r"version 1 of m_trt is not served: .* made with another key"):
        store.require_signed("m_trt", 1, other)


@pytest.mark.parametrize("root", ["models", "published"])
def test_what_a_killed_copy_left_goes_with_the_next_version(store, made, root):
    left = store.folder / root / "m_trt" / ".partial.9.7"
    (left / "configs").mkdir(parents=True)
    store.publish(made("a"))
    assert not left.exists()


def test_a_selected_version_is_newer_for_triton_even_if_the_clock_was_set_back(store, made):
    for letter in "ab":
        store.publish(made(letter))
    store.select("m_trt", 1)
    selected = [store.models / "m_trt" / name for name in ("config.pbtxt", "configs/python.pbtxt", "labels.txt")]
    future = time.time_ns() + 400 * 86400 * 10**9
    for path in selected:
        os.utime(path, ns=(future, future))
    store.select("m_trt", 2)
    assert all(path.stat().st_mtime_ns > future for path in selected)


def test_a_selected_version_is_newer_than_what_triton_loaded_even_if_every_time_stamp_was_set_back_since(store, made):
    """Triton remembers the time stamps of what it loaded, whatever happens to the files afterwards."""
    for training in "ab":
        store.publish(made(training))
    files = [path for path in (store.models / "m_trt").rglob("*") if path.is_file()]
    future, past = time.time_ns() + 10**18, time.time_ns() - 10**18
    for path in files:
        os.utime(path, ns=(future, future))
    store.select("m_trt", 1)
    loaded = max(path.stat().st_mtime_ns for path in (store.models / "m_trt").rglob("*"))
    assert loaded > future
    for path in (store.models / "m_trt").rglob("*"):
        os.utime(path, ns=(past, past))
    store.select("m_trt", 2)
    assert (store.models / "m_trt/config.pbtxt").stat().st_mtime_ns > loaded
