import threading

import pytest

from slipway.runtimes.tensorrt import timing_cache


class Cache:
    """A timing cache of the builder's kind: a set of lines, refused when made by another version."""

    def __init__(self, content):
        self.lines = set(content.decode().split())

    def serialize(self):
        return " ".join(sorted(self.lines)).encode()

    def combine(self, other, ignore_mismatch):
        self.lines |= other.lines
        return True


class Config:
    """What of a builder's configuration the timing cache uses."""

    cache = None

    def create_timing_cache(self, content):
        return Cache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        if "foreign" in cache.lines:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


def build(path, *measures):
    """Return the report of a build that measures something."""
    config = Config()
    with timing_cache.attached(config, path) as cache:
        config.cache.lines |= set(measures)
    return cache.report()


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


def test_two_builds_at_once_keep_what_both_measured(path, tmp_path):
    inner_done = threading.Event()
    config = Config()
    with timing_cache.attached(config, path):
        config.cache.lines.add("outer")
        thread = threading.Thread(target=lambda: (build(path, "inner"), inner_done.set()))
        thread.start()
        assert inner_done.wait(10)
    assert (tmp_path / "deep" / "h100.cache").read_bytes().split() == [b"inner", b"outer"]


def test_a_failed_build_leaves_the_cache_as_it_was(path, tmp_path):
    build(path, "a")
    with pytest.raises(ValueError, match="no engine"), timing_cache.attached(Config(), path):
        raise ValueError("no engine")
    assert (tmp_path / "deep" / "h100.cache").read_bytes() == b"a"
    assert sorted(file.name for file in (tmp_path / "deep").iterdir()) == ["h100.cache", "h100.cache.lock"]


def test_without_a_path_nothing_is_kept():
    with timing_cache.attached(Config(), None) as cache:
        pass
    assert cache.report() is None
