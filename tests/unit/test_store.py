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


def test_versions_that_were_live_are_kept_and_others_go(store, made):
    for engine in "abcd":
        number = store.publish(*made(engine)).number
        if engine != "c":  # it was refused
            store.history.went_live({"m_trt": number})
    store.prune("m_trt", keep=2)
    assert store.versions("m_trt") == [2, 4]
    assert store.publish(*made("e")).number == 5
    store.prune("m_trt", keep=1)
    assert store.versions("m_trt") == [4]


def test_a_number_that_is_given_again_is_not_taken_for_the_version_that_had_it(store, made):
    for engine in "ab":
        store.history.went_live({"m_trt": store.publish(*made(engine)).number})
    store.history.went_live({"m_trt": 1})
    store.prune("m_trt", keep=1)
    assert store.publish(*made("refused")).number == 2
    assert store.history.before({"m_trt": 1}) is None


def test_what_was_live_before_is_gone_back_to_once(store):
    history = store.history
    assert (history.live(), history.before({"m": 1})) == ({}, None)
    for number in (1, 2, 1, 4):  # 3 was refused; 1 was deployed again
        history.went_live({"m": number})
    assert history.before({"m": 4}) == {"m": 1}
    history.withdraw({"m": 4})
    assert history.before({"m": 1}) == {"m": 2}
    history.went_live({"m": 5})
    assert history.before({"m": 5}) == {"m": 1}, "4 was rolled back"


def test_of_models_that_are_live_together_only_those_go_back_that_changed(store):
    for versions in ({"m": 1, "n": 1}, {"m": 1, "n": 2}, {"m": 2, "n": 2}, {"m": 2, "n": 2, "new": 1}):
        store.history.went_live(versions)
    assert store.history.before({"m": 2, "n": 2, "new": 1}) == {"m": 2, "n": 2}
    assert store.history.before({"m": 2, "n": 2}) == {"m": 1, "n": 2}, "a model that was left out since is no step back"
    store.history.withdraw({"m": 2, "n": 2, "new": 1})
    assert store.history.before({"m": 2, "n": 2}) == {"m": 1, "n": 2}
    assert store.history.last_of("n", 1) == [2]
    assert sorted(store.history.last_of("n", 9)) == [1, 2]


def test_an_index_is_kept_as_it_was(store, made, tmp_path):
    folder, index, golden = made("a")
    write_json(tmp_path / "index.json", index)
    published = store.publish(folder, index, golden)
    assert published.index == index == read_json(tmp_path / "index.json")
