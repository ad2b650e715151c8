"""Cache results computed from files, such as their SHA-256, until a file's size or one of its times changes."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slipway.core.artifacts import sha256, write_text
from slipway.core.records import has_shape, read_record

# If a file changed less than this time ago, its result is not cached: the next change may get the same time stamps.
SETTLED_AFTER_S = 2.0


class FileHashCache:
    """Results computed from files, such as their SHA-256. Each result is valid until its file changes.

    `store` is a JSON file that keeps the results between runs of the workflow. If the file is lost, the results are
    computed again. With None, the results are kept in memory only.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store
        # {question and path: [[size, mtime in ns, ctime in ns], answer]}. A damaged entry counts as a missing one.
        entries = (store and read_record(store, {str: list})) or {}
        self._known = {name: entry for name, entry in entries.items() if len(entry) == 2 and has_shape(entry[0], [int])}
        self._changed = False

    def sha256(self, path: str | Path) -> str:
        """Return the SHA-256 of a file's bytes, in hexadecimal."""
        return self.remember("sha256", path, sha256)

    def of_many(self, paths: Iterable[Path], folder: str | Path) -> str:
        """Return one SHA-256 of several files: their names (relative to `folder`) and contents, in the given order.

        A path that is not a file, such as a folder, counts only by its name.
        """
        total = hashlib.sha256()
        for path in paths:
            name = os.fsencode(Path(path).relative_to(folder).as_posix())  # raw bytes: a name need not be UTF-8
            content = self.sha256(path) if Path(path).is_file() else "no file"
            total.update(name + f"\0{content}\n".encode())
        return total.hexdigest()

    def remember(self, question: str, path: str | Path, answer: Callable[[Path], Any]) -> Any:
        """Return answer(path), a JSON value. Call `answer` only if the file has changed since the cached result.

        `question` names the computation, such as "sha256": each file has one cached result for each question.
        """
        status = Path(path).stat()
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        name = f"{question} {path}"
        entry = self._known.get(name)
        if entry and entry[0] == state:
            return entry[1]
        result = answer(Path(path))
        if time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_AFTER_S:
            self._known[name] = [state, result]
            self._changed = True
        return result

    def save(self) -> None:
        """Write the cached results to `store` if there are new ones. If it cannot be written, raise nothing."""
        if self._store is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            write_text(self._store, json.dumps(self._known))
