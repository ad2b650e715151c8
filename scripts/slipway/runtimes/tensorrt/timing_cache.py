"""The timing cache of a target: the builder's earlier measurements of kernels, which a later build does not repeat.

All builds of the target, which is one kind of GPU, share the file.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def attached(config: Any, path: str | None, anew: bool = False) -> Iterator[dict | None]:
    """Context manager: for the block, give a builder the timing cache in the file `path`; then write the cache back.

    `config` is TensorRT's builder configuration. After an exception, nothing is written. Yields a dict for the build
    record; None if `path` is None. After the block, the dict has "bytes_before" (0 if no cache was used),
    "bytes_after", "everything_was_known" (whether no kernel was measured) and "of_another_version" (whether TensorRT
    refused the existing cache).

    A cache of another TensorRT or GPU is not used, and is replaced. Two concurrent builds both start from the existing
    cache, and the later build adds its measurements to those of the earlier build. With `anew` the builder starts with
    an empty cache, and its measurements replace the existing measurements of the same kernels.
    """
    if path is None:
        yield None
        return
    content = b"" if anew else _read(path)
    refused = bool(content) and not _set(config, content)
    if not content or refused:
        _set(config, b"")
    before, size_before = 0 if refused else len(content), _size(config)
    facts = {"bytes_before": before}
    yield facts
    known = before > 0 and _size(config) == size_before
    _merge_and_write(config, path, content)
    facts |= {"bytes_after": _size(config), "everything_was_known": known, "of_another_version": refused}


def _set(config: Any, content: bytes) -> bool:
    cache = config.create_timing_cache(content)
    return cache is not None and bool(config.set_timing_cache(cache, False))


def _size(config: Any) -> int:
    return len(bytes(config.get_timing_cache().serialize()))


def _merge_and_write(config: Any, path: str, content_before: bytes) -> None:
    mine = config.get_timing_cache()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content_now = _read(path)
        others = config.create_timing_cache(content_now) if content_now and content_now != content_before else None
        if others is not None:
            mine.combine(others, False)  # for a kernel in both, `mine` wins
        _write_whole(Path(path), bytes(mine.serialize()))


def _write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path`, completely or not at all. Remove partial files that killed builds left.

    The caller must hold the lock, so that no other build writes.
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
