"""The timing cache of a target: the builder's earlier measurements, shared by all its builds, also concurrent ones."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Cache:
    """The sizes (bytes) of the timing cache before and after a build."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.before = 0
        self.after = 0
        self.refused = False
        self.measured = True

    def report(self) -> dict | None:
        """Return the facts for the build record; None without a cache."""
        if self.path is None:
            return None
        return {
            "bytes_before": self.before,
            "bytes_after": self.after,
            "everything_was_known": self.before > 0 and not self.measured,
            "of_another_version": self.refused,
        }


@contextlib.contextmanager
def attached(config: Any, path: str | None, anew: bool = False) -> Iterator[Cache]:
    """Give the builder the cache at `path`. At the end of a successful block, write the extended cache back.

    A cache of another TensorRT or GPU is not used, and is replaced. Two concurrent builds both start from the existing
    cache, and the later one adds its measurements to the other's. With `anew` the builder starts with an empty cache,
    and its measurements replace the existing ones of the same kernels.
    """
    cache = Cache(path)
    if path is None:
        yield cache
        return
    content = b"" if anew else _read(path)
    cache.refused = not _set(config, content) if content else False
    if not content or cache.refused:
        _set(config, b"")
    cache.before = 0 if cache.refused else len(content)
    size_before = _size(config)
    yield cache
    cache.measured = _size(config) != size_before
    _merge_and_write(config, path, content)
    cache.after = _size(config)


def _set(config: Any, content: bytes) -> bool:
    cache = config.create_timing_cache(content)
    return cache is not None and bool(config.set_timing_cache(cache, False))


def _size(config: Any) -> int:
    return len(bytes(config.get_timing_cache().serialize()))


def _merge_and_write(config: Any, path: str, content_before: bytes) -> None:
    mine = config.get_timing_cache()
    with _locked(path):
        content_now = _read(path)
        others = config.create_timing_cache(content_now) if content_now and content_now != content_before else None
        if others is not None:
            mine.combine(others, False)  # for a kernel in both, `mine` wins
        _write_whole(Path(path), bytes(mine.serialize()))


def _write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path`, completely or not at all. Remove the partial files of killed builds.

    The caller holds the lock, so no other build is writing.
    """
    for remainder in path.parent.glob(f"{path.name}.*.partial"):
        remainder.unlink()
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: str) -> bytes:
    return Path(path).read_bytes() if Path(path).is_file() else b""


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
