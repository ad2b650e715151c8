"""The timing cache of a target: what the builder measured before, shared by all its builds, safe with two at once."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Cache:
    """What a build took from the timing cache and left in it, in bytes."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.before = 0
        self.after = 0
        self.refused = False
        self.measured = True

    def report(self) -> dict | None:
        """Return what the build record says; None when no cache is used."""
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
    """Give the builder the cache at `path`; when the block ends well, write back what it holds then.

    A cache of another TensorRT or GPU is left out and replaced. Two builds at once each start from what is there; the
    one that ends later adds its measurements to those of the other. With `anew` the builder starts from nothing, and
    what it measures takes the place of what the cache held for the same kernels.
    """
    cache = Cache(path)
    if path is None:
        yield cache
        return
    known = b"" if anew else _read(path)
    cache.refused = not _set(config, known) if known else False
    if not known or cache.refused:
        _set(config, b"")
    cache.before = 0 if cache.refused else len(known)
    given = _size(config)
    yield cache
    cache.measured = _size(config) != given
    _merge_and_write(config, path, known)
    cache.after = _size(config)


def _set(config: Any, content: bytes) -> bool:
    cache = config.create_timing_cache(content)
    return cache is not None and bool(config.set_timing_cache(cache, False))


def _size(config: Any) -> int:
    return len(bytes(config.get_timing_cache().serialize()))


def _merge_and_write(config: Any, path: str, known: bytes) -> None:
    mine = config.get_timing_cache()
    with _locked(path):
        now = _read(path)
        others = config.create_timing_cache(now) if now and now != known else None
        if others is not None:
            mine.combine(others, False)  # of two measurements of one kernel, `mine` keeps its own
        _write_whole(Path(path), bytes(mine.serialize()))


def _write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path`, whole or not at all; remove what a killed build left, which the lock proves dead."""
    for left in path.parent.glob(f"{path.name}.*.partial"):
        left.unlink()
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
