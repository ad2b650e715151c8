"""The SHA-256 of files. A file is read again only when its size or one of its times changed."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slipway.core.artifacts import sha256, written_whole
from slipway.core.records import has_shape, read_record

# A file that changed this recently may change again without its times showing it.
SETTLED_AFTER_S = 2.0


class FileHashCache:
    """Answers about files, each remembered for as long as the file stays as it is.

    `store` keeps them from one run of the workflow to the next; it may be lost at any time. None keeps them in memory.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store
        self._known: dict[str, list] = _read(store)
        self._changed = False

    def sha256(self, path: str | Path) -> str:
        """Return the SHA-256 of a file's bytes, in hexadecimal."""
        return self.remember("sha256", path, sha256)

    def of_many(self, paths: Iterable[Path], folder: str | Path) -> str:
        """Return one SHA-256 of some files' names below `folder` and of their contents, in order.

        Of what is no file, such as a folder, the name counts alone.
        """
        total = hashlib.sha256()
        for path in paths:
            name = os.fsencode(Path(path).relative_to(folder).as_posix())  # as it is, where it is not UTF-8 too
            content = self.sha256(path) if Path(path).is_file() else "no file"
            total.update(name + f"\0{content}\n".encode())
        return total.hexdigest()

    def remember(self, question: str, path: str | Path, answer: Callable[[Path], Any]) -> Any:
        """Return answer(path), which JSON can hold; ask again only when the file is no longer the one of last time."""
        status = Path(path).stat()
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        name = f"{question} {path}"
        known = self._known.get(name)
        if known and known[0] == state:
            return known[1]
        found = answer(Path(path))
        if time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_AFTER_S:
            self._known[name] = [state, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Write the store, if anything was learned and it can be written."""
        if self._store is None or not self._changed:
            return
        with contextlib.suppress(OSError), written_whole(self._store) as partial:
            partial.write_text(json.dumps(self._known), encoding="utf-8")


def _read(store: Path | None) -> dict[str, list]:
    """Return what a store holds: [[size, two times in ns], answer] by question and path, without what is damaged."""
    known = store and read_record(store, {str: list})
    return {name: entry for name, entry in (known or {}).items() if len(entry) == 2 and has_shape(entry[0], [int])}
