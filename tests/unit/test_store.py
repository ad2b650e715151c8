import numpy as np
import pytest

from slipway.artifacts import read_json, tree_digest, write_json
from slipway.errors import SlipwayError
from slipway.triton.modelconfig import Served, model_config, read_config, write_config
from slipway.triton.store import Store


@pytest.fixture
def made(tmp_path):
    """Return a function that writes a model folder with some engine; it returns what publish takes."""

    def make(engine, max_batch=4):
        folder = tmp_path / f"made {engine}" / "m_trt"
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "model.xml").write_text(engine)
        (folder / "labels.txt").write_text("cat\ndog\n")
        served = Served("m_trt", "openvino", "fp32", 64, 2, max_batch, 1)
        for name, backend in {"config.pbtxt": "openvino", "configs/python.pbtxt": "python"}.items():
            write_config(folder / name, model_config(served, backend))
        golden = folder.with_name("golden.npz")
        np.savez(golden, input=np.zeros((1, 3, 64, 64), np.float32), logits=np.ones((1, 2), np.float32))
        index = {"name": "m_trt", "files": tree_digest(folder), "accuracy_limits": {"min_cosine": 0.9}}
        return folder, index, golden

    return make


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_versions_lie_beside_each_other_and_the_same_is_not_copied_again(store, made):
    assert [store.publish(*made(engine)).number for engine in ("a", "b")] == [1, 2]
    store.select("m_trt", 2)
    folder, index, golden = made("c")
    assert store.publish(folder, index, golden).number == store.publish(folder, index, golden).number == 3
    assert store.versions("m_trt") == [1, 2, 3]
    assert store.selected("m_trt") == 2


def test_selecting_a_version_makes_triton_take_it_with_its_own_configuration(store, made):
    store.publish(*made("a", max_batch=4))
    store.publish(*made("b", max_batch=16))
    assert store.selected("m_trt") is None
    for number, max_batch in ((2, 16), (1, 4)):
        store.select("m_trt", number)
        for name in ("config.pbtxt", "configs/python.pbtxt"):
            config = read_config(store.models / "m_trt" / name)
            assert list(config.version_policy.specific.versions) == [number]
            assert config.max_batch_size == max_batch
        assert (store.models / "m_trt" / "labels.txt").read_text() == "cat\ndog\n"


def test_a_version_knows_what_it_must_answer(store, made):
    published = store.publish(*made("a"))
    assert published.expected.labels == ["cat", "dog"]
    assert published.expected.limits == {"min_cosine": 0.9}
    assert published.expected.golden_logits.tolist() == [[1, 1]]


def test_a_copy_that_is_not_what_was_written_is_refused_and_leaves_nothing(store, made):
    folder, index, golden = made("a")
    (folder / "1" / "model.xml").write_text("edited since")
    with pytest.raises(SlipwayError, match="is not what was written"):
        store.publish(folder, index, golden)
    assert store.versions("m_trt") == []
    assert not list(store.models.rglob("*.xml"))


def test_a_version_that_was_damaged_in_the_store_is_published_anew(store, made):
    given = made("a")
    store.publish(*given)
    (store.models / "m_trt" / "1" / "model.xml").write_text("cut")
    assert store.publish(*given).number == 2


def test_a_copy_that_was_interrupted_before_its_record_is_taken_for_none(store, made):
    (store.models / "m_trt" / "1").mkdir(parents=True)
    assert store.versions("m_trt") == []
    assert store.publish(*made("a")).number == 1


def test_old_versions_go_and_those_to_keep_stay(store, made):
    for engine in "abcd":
        store.publish(*made(engine))
    store.prune("m_trt", {1, 4})
    assert store.versions("m_trt") == [1, 4]
    assert store.publish(*made("e")).number == 5


def test_an_index_is_kept_as_it_was(store, made, tmp_path):
    folder, index, golden = made("a")
    write_json(tmp_path / "index.json", index)
    published = store.publish(folder, index, golden)
    assert published.index == index == read_json(tmp_path / "index.json")
