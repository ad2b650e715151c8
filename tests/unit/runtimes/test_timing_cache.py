import threading

import pytest
from helpers.gpu_stand_in.building import Config
from helpers.patience import PATIENCE_S

from slipway.runtimes.tensorrt import timing_cache


def build(path, *measures, anew=False):
    """Return the report of a build that measures something."""
    config = Config()
    with timing_cache.attached(config, path, anew) as cache:
        config.cache.lines |= set(measures)
    return cache


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "deep" / "h100.cache")


def test_the_next_build_starts_from_what_was_measured(path):
    first = build(path, "a", "b")
    assert (first["bytes_before"], first["everything_was_known"]) == (0, False)
    second = build(path, "a")
    assert second["bytes_before"] == first["bytes_after"]
    assert second["everything_was_known"]


def test_a_cache_of_another_version_is_replaced(path, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "h100.cache").write_bytes(b"foreign")
    assert build(path, "a") == {
        "bytes_before": 0,
        "bytes_after": 1,
        "everything_was_known": False,
        "of_another_version": True,
    }
    assert (tmp_path / "deep" / "h100.cache").read_bytes() == b"a"


def test_a_damaged_cache_is_replaced(path, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "h100.cache").write_bytes(b"damaged")
    assert build(path, "a")["of_another_version"]
    assert (tmp_path / "deep" / "h100.cache").read_bytes() == b"a"


def test_measuring_anew_takes_nothing_and_replaces_what_was_measured(path, tmp_path):
    build(path, "a=1", "other=1")
    report = build(path, "a=2", anew=True)
    assert (report["bytes_before"], report["everything_was_known"]) == (0, False)
    assert (tmp_path / "deep" / "h100.cache").read_bytes().split() == [b"a=2", b"other=1"]


def test_what_another_build_measured_meanwhile_is_not_this_ones_measurement(path):
    build(path, "a")
    config = Config()
    with timing_cache.attached(config, path) as cache:
        build(path, "a", "b")
    assert cache["everything_was_known"]
    assert cache["bytes_after"] > cache["bytes_before"]


def test_two_builds_at_once_keep_what_both_measured(path, tmp_path):
    inner_done = threading.Event()
    config = Config()
    with timing_cache.attached(config, path):
        config.cache.lines.add("outer")
        thread = threading.Thread(target=lambda: (build(path, "inner"), inner_done.set()))
        thread.start()
        assert inner_done.wait(PATIENCE_S)
    assert (tmp_path / "deep" / "h100.cache").read_bytes().split() == [b"inner", b"outer"]


def test_a_failed_build_leaves_the_cache_as_it_was(path, tmp_path):
    build(path, "a")
    with pytest.raises(ValueError, match="no engine"), timing_cache.attached(Config(), path):
        raise ValueError("no engine")
    assert (tmp_path / "deep" / "h100.cache").read_bytes() == b"a"
    assert sorted(file.name for file in (tmp_path / "deep").iterdir()) == ["h100.cache", "h100.cache.lock"]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_an_interrupted_write_leaves_the_cache_as_it_was(path, tmp_path, monkeypatch, step):
    build(path, "a")

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(path, "a", "b")
    assert (tmp_path / "deep" / "h100.cache").read_bytes() == b"a"
    assert sorted(file.name for file in (tmp_path / "deep").iterdir()) == ["h100.cache", "h100.cache.lock"]


def test_what_a_killed_build_left_is_removed(path, tmp_path):
    build(path, "a")
    (tmp_path / "deep" / "h100.cache.4711.partial").write_bytes(b"half")
    (tmp_path / "deep" / "l4.cache.4711.partial").write_bytes(b"another target's")
    build(path, "b")
    assert not (tmp_path / "deep" / "h100.cache.4711.partial").exists()
    assert (tmp_path / "deep" / "l4.cache.4711.partial").exists()


def test_without_a_path_nothing_is_kept():
    with timing_cache.attached(Config(), None) as cache:
        pass
    assert cache is None
