"""The stored versions of models: numbered folders, and a record outside of them with the SHA-256 of every file.

A version exists once the record has all its files; the record is written last. A version that differs from it is
neither served nor gone back to.
"""

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from slipway.core.artifacts import remove
from slipway.core.errors import SlipwayError
from slipway.deploy.ledger import Ledger, LiveSets
from slipway.deploy.release import Release
from slipway.triton.repository.contents import differences

# Files of a version: the path in its release, and the SHA-256.
Files = dict[str, str]


class VersionStore(ABC):
    """Versions of models below `folder`, by the name that clients use and a number."""

    of_all_models = False  # whether the models of one platform share this store

    def __init__(self, folder: Path, record: Path) -> None:
        self.folder = folder
        self.ledger, self.live_sets = Ledger(record), LiveSets(record)

    @abstractmethod
    def keep(self, release: Release) -> Release:
        """Store a release beside the older ones, unless it is stored already; return the stored one."""

    @abstractmethod
    def release(self, versions: dict[str, int], receipts: dict[str, dict]) -> Release:
        """Return a stored release, unchanged, from the version of each model; `receipts` are of the same models."""

    @abstractmethod
    def require_proven(self, release: Release, public_key: Path | None) -> dict:
        """Return where a stored release was published; raise SlipwayError unless that is unchanged, and signed."""

    @abstractmethod
    def contents(self, name: str, number: int) -> Files:
        """Return {file: SHA-256} of a version's files as they are now."""

    @abstractmethod
    def path(self, name: str, number: int, file: str) -> Path:
        """Return where a file of a version lies."""

    @abstractmethod
    def roots(self, name: str) -> list[Path]:
        """Return the folders that have a folder for each version of a model."""

    @abstractmethod
    def discard_refused(self, name: str) -> None:
        """Remove the versions of a model that were never live, if they do not stay until another one is."""

    def in_use(self, name: str) -> set[int]:
        """Return the versions whose files must stay although no record has them."""
        return set(self.live_sets.last_of(name))

    def versions(self, name: str) -> list[int]:
        """Return the versions of a model that are recorded, ascending."""
        return sorted(map(int, self.ledger.read()["stored"].get(name, {})))

    def is_there(self) -> bool:
        """Say whether anything was ever stored here."""
        return self.ledger.file.parent.is_dir()

    def knows(self, name: str) -> bool:
        """Say whether there is or was a version of a model here."""
        return bool(self._numbers(name)) or name in self.ledger.read()["last"]

    def require_whole(self, name: str, number: int) -> None:
        """Raise SlipwayError unless a version has exactly the files that were recorded."""
        if changed := self.changes(name, number):
            raise SlipwayError(
                f"version {number} of {name} in {self.folder} is not what was proven ({changed}), so it is not served"
            )

    def changes(self, name: str, number: int) -> str:
        """Return the differences of a version from its record, as text; "" if there are none."""
        recorded = self.record(name, number)
        if recorded is None:
            return "its files were never recorded"
        present = self.contents(name, number)
        return differences(self._by_path(name, number, present), self._by_path(name, number, recorded))

    def record(self, name: str, number: int) -> Files | None:
        """Return the recorded files of a version; None if it does not exist."""
        return self.ledger.read()["stored"].get(name, {}).get(str(number))

    def number_of(self, name: str, files: Files) -> int | None:
        """Return the newest version that consists of these files; None if there is none."""
        return next((number for number in reversed(self.versions(name)) if self.record(name, number) == files), None)

    def next_number(self, name: str) -> int:
        """Return a number that no version of a model has or had."""
        return max(self.ledger.read()["last"].get(name, 0), *self._numbers(name), 0) + 1

    def enter(self, name: str, number: int, files: Files) -> None:
        """Record a version that is complete; from now on it exists."""
        record = self.ledger.read()
        versions = record["stored"].get(name, {}) | {str(number): files}
        self.ledger.write(stored=record["stored"] | {name: versions}, last=record["last"] | {name: number})

    def prune(self, name: str, keep: int | None = None) -> None:
        """Remove every version of a model but the `keep` that were live last; by default but those that were live."""
        kept = self.live_sets.last_of(name, keep)
        stored = self.ledger.read()["stored"]
        remaining = {number: files for number, files in stored.get(name, {}).items() if int(number) in kept}
        # Without a record they do not exist, even if a kill interrupts their removal.
        self.ledger.write(live=self.live_sets.without_others(name, kept), stored=stored | {name: remaining})
        self.clear_up(name)

    def clear_up(self, name: str) -> None:
        """Remove files without a record: a killed deployment was copying them, or had not yet removed them."""
        known = {*self.versions(name), *self.in_use(name)}
        for root in self.roots(name):
            for number in self._numbers(name) - known:
                shutil.rmtree(root / str(number), ignore_errors=True)
            for partial in root.glob(".partial.*"):
                remove(partial)

    def _numbers(self, name: str) -> set[int]:
        """Return the numbers of all existing folders, also of folders without a record."""
        folders = [path for root in self.roots(name) for path in root.glob("[0-9]*")]
        return {int(folder.name) for folder in folders if folder.name.isdecimal()}

    def _by_path(self, name: str, number: int, files: Files) -> Files:
        """Return {path below the store: SHA-256} of the same files, for messages."""
        return {self.path(name, number, file).relative_to(self.folder).as_posix(): files[file] for file in files}
