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

    def report(self) -> dict | None:
        """Return what the build record says; None when no cache is used."""
        if self.path is None:
            return None
        return {
            "bytes_before": self.before,
            "bytes_after": self.after,
            "everything_was_known": 0 < self.before == self.after,
            "of_another_version": self.refused,
        }


@contextlib.contextmanager
def attached(config: Any, path: str | None) -> Iterator[Cache]:
    """Give the builder the cache at `path`; when the block ends well, write back what it holds then.

    A cache of another TensorRT or GPU is left out and replaced. Two builds at once each start from what is there; the
    one that ends later adds its measurements to those of the other.
    """
    cache = Cache(path)
    if path is None:
        yield cache
        return
    known = _read(path)
    cache.refused = not _set(config, known) if known else False
    if not known or cache.refused:
        _set(config, b"")
    cache.before = 0 if cache.refused else len(known)
    yield cache
    _merge_and_write(config, path, known)
    cache.after = len(bytes(config.get_timing_cache().serialize()))


def _set(config: Any, content: bytes) -> bool:
    return bool(config.set_timing_cache(config.create_timing_cache(content), False))


def _merge_and_write(config: Any, path: str, known: bytes) -> None:
    mine = config.get_timing_cache()
    with _locked(path):
        now = _read(path)
        if now and now != known:
            mine.combine(config.create_timing_cache(now), False)
        partial = Path(f"{path}.{os.getpid()}.partial")
        partial.write_bytes(bytes(mine.serialize()))
        partial.rename(path)


def _read(path: str) -> bytes:
    return Path(path).read_bytes() if Path(path).is_file() else b""


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
