"""The stored versions of models: numbered folders, and a ledger with the SHA-256 of every file in these folders.

A version exists once the ledger has all its files; the ledger is written last. A version whose files differ from the
ledger is not served, not even by a rollback.
"""

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from slipway.core.artifacts import atomic_write, remove
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.ledger import Ledger
from slipway.deploy.release import Release
from slipway.triton.repository.versions import contents, differences, remove_bytecode

# Files of a version: {path in the release: SHA-256}.
Files = dict[str, str]
# The file of a version's signature. The ledger does not list this file, because a public key verifies it.
SIGNATURE = "repository.sig"


class VersionStore(ABC):
    """The stored versions of models, from which a rollback is served. They are below `folder`.

    `record` is the file of the ledger, which has the SHA-256 of every stored file. In the methods, `name` is a model's
    name on the server, and `number` is a version.
    """

    # Whether all models share this store. If so, a failed version stays until another version of the model is live.
    of_all_models = False

    def __init__(self, folder: Path, record: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(record)

    @abstractmethod
    def keep(self, release: Release) -> Release:
        """Store a release beside the older releases, unless it is stored already; return the stored release.

        A stored version whose files were changed is repaired.
        """

    @abstractmethod
    def release(self, versions: dict[str, int], receipts: dict[str, dict]) -> Release:
        """Return the stored release with `versions`, {model: version}.

        `receipts` has the deployment records of these models, {model in config.yaml: receipt}. Raises SlipwayError if a
        stored version was changed.
        """

    @abstractmethod
    def require_proven(self, release: Release, public_key: Path | None) -> dict:
        """Raise SlipwayError if the published copy of a stored release was changed, so a rollback must not serve it.

        Return {target: record of its publication}, as `deploy.publishing.publish` returned it. With `public_key`, a
        release without a valid signature is an error, too; None checks no signature.
        """

    @abstractmethod
    def roots(self, name: str) -> dict[str, Path]:
        """Return the folders with the files of a model's versions, {prefix: folder}.

        A file of a version whose path begins with `prefix` is in `folder`/<version>/, without the prefix.
        """

    @abstractmethod
    def selected(self, name: str) -> int | None:
        """Return the version of the model `name` that is served; None if none is served.

        The version may be missing in the ledger, the file that lists the deployed versions.
        """

    def path(self, name: str, number: int, file: str) -> Path:
        """Return the path of `file`, a file of a stored version, such as "config.pbtxt"."""
        prefix = self._prefix(name, file)
        return self.roots(name)[prefix] / str(number) / file.removeprefix(prefix)

    def contents(self, name: str, number: int) -> Files:
        """Return the files of a stored version as they are now, {file: SHA-256}, without the signature.

        Compiled bytecode is removed first, because Python would run bytecode instead of the compared files.
        """
        files: Files = {}
        for prefix, root in self.roots(name).items():
            remove_bytecode(root / str(number))
            files |= {f"{prefix}{file}": digest for file, digest in contents(root / str(number)).items()}
        files.pop(SIGNATURE, None)
        return files

    def versions(self, name: str) -> list[int]:
        """Return the recorded version numbers of the model `name`, ascending."""
        return sorted(map(int, self.ledger.read()["stored"].get(name, {})))

    def is_there(self) -> bool:
        """Say whether this store ever had a version of any model."""
        return self.ledger.file.parent.is_dir()

    def knows(self, name: str) -> bool:
        """Say whether this store has, or ever had, a version of the model `name`."""
        return bool(self._numbers(name)) or name in self.ledger.read()["last"]

    def require_whole(self, name: str, number: int) -> None:
        """Raise SlipwayError unless version `number` of the model `name` has exactly the files that were recorded."""
        if changed := self.changes(name, number):
            raise SlipwayError(
                f"version {number} of {name} in {self.folder} is not what was proven ({changed}), so it is not served"
            )

    def changes(self, name: str, number: int) -> str:
        """Return text on the files of a stored version that were changed since they were recorded; "" if none was."""
        recorded = self.record(name, number)
        if recorded is None:
            return "its files were never recorded"
        present = self.contents(name, number)
        return differences(self._by_path(name, number, present), self._by_path(name, number, recorded))

    def record(self, name: str, number: int) -> Files | None:
        """Return the files that a version had when it was stored, {file: SHA-256}; None if it is not recorded."""
        return self.ledger.read()["stored"].get(name, {}).get(str(number))

    def number_of(self, name: str, files: Files) -> int | None:
        """Return the newest version that consists of exactly `files`, {file: SHA-256}; None if there is none."""
        return next((number for number in reversed(self.versions(name)) if self.record(name, number) == files), None)

    def next_number(self, name: str) -> int:
        """Return a version number for a new version, which no version of the model `name` has or had."""
        return max(self.ledger.read()["last"].get(name, 0), *self._numbers(name), 0) + 1

    def enter(self, name: str, number: int, files: Files) -> None:
        """Record a version whose files are all copied. `files` is {file: SHA-256}. Only now the version exists."""
        record = self.ledger.read()
        versions = record["stored"].get(name, {}) | {str(number): files}
        last = record["last"] | {name: max(number, record["last"].get(name, 0))}
        self.ledger.write(stored=record["stored"] | {name: versions}, last=last)

    def prune(self, name: str, keep: int | None = None) -> None:
        """Remove the stored versions of the model `name`, except the last `keep` versions that were live.

        Without `keep`, all versions that were live stay.
        """
        kept, record = self.ledger.last_of(name, keep), self.ledger.read()
        stored, live = record["stored"], [step for step in record["live"] if step.get(name) in (None, *kept)]
        remaining = {number: files for number, files in stored.get(name, {}).items() if int(number) in kept}
        # The ledger first: without a record, a version does not exist, even if a kill interrupts its removal.
        self.ledger.write(live=live, stored=stored | {name: remaining})
        self.clear_up(name)

    def clear_up(self, name: str) -> None:
        """Remove the version folders of a model that the ledger lacks: their copy or their removal was interrupted."""
        known = {*self.versions(name), *self.ledger.last_of(name), self.selected(name)}
        for root in self.roots(name).values():
            for number in self._numbers(name) - known:
                shutil.rmtree(root / str(number), ignore_errors=True)
            for partial in root.glob(".partial.*"):
                remove(partial)

    def _store(self, name: str, files: Files, sources: dict[str, Path]) -> int:
        """Return the number of the version that has `files`, {file: SHA-256}.

        If no version has these files, a new version is stored, copied from `sources`, {file: path}. If the version was
        changed, it is repaired.
        """
        self.clear_up(name)
        number = self.number_of(name, files) or self.next_number(name)
        if changed := self.changes(name, number):
            if self.record(name, number):
                progress(f"  version {number} of {name} in {self.folder} was changed ({changed}); repairing it")
            self._copy(name, number, files, sources)
            self.enter(name, number, files)
        return number

    def _copy(self, name: str, number: int, files: Files, sources: dict[str, Path]) -> None:
        """Copy the files of a version, each folder completely or not at all.

        `files` is {file: SHA-256}, and `sources` is {file: path to copy from}. Raises SlipwayError if a copied file
        does not have its SHA-256.
        """
        for prefix, root in self.roots(name).items():
            here = {file.removeprefix(prefix): file for file in files if self._prefix(name, file) == prefix}
            with atomic_write(root / str(number)) as partial:
                for target, file in here.items():
                    (partial / target).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(sources[file], partial / target)
                if changed := differences(contents(partial), {target: files[file] for target, file in here.items()}):
                    raise SlipwayError(
                        f"the copy of {name} in {root / str(number)} is not what was written ({changed}): the disk is "
                        "full, or somebody edits it. Free space, and run again; the live version was not changed"
                    )

    def _prefix(self, name: str, file: str) -> str:
        return max(filter(file.startswith, self.roots(name)), key=len)

    def _numbers(self, name: str) -> set[int]:
        """Return the numbers of all version folders of a model on disk, including folders without a record."""
        folders = [path for root in self.roots(name).values() for path in root.glob("[0-9]*")]
        return {int(folder.name) for folder in folders if folder.name.isdecimal()}

    def _by_path(self, name: str, number: int, files: Files) -> Files:
        """Return {path relative to the store's folder: SHA-256} of a version's `files`, for messages."""
        return {self.path(name, number, file).relative_to(self.folder).as_posix(): files[file] for file in files}
