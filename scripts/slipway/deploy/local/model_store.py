"""The model store: the stored versions of models, of which the local server serves the selected ones.

<store>/models/<name>/<version>/      engine and adapter, as Triton reads them, one folder a version
<store>/models/<name>/config.pbtxt    and configs/, labels.txt: those of the version that is selected
<store>/published/<name>/<version>/   the same files of that version, its index, its golden logits, its signature
<store>/published/live.json           the record: every file of each version, and which were live together

A version exists once the record has all its files; the record is written last. A version that differs is not read.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.core.artifacts import read_json, remove, sha256, written_whole
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.local.ledger import Ledger
from slipway.deploy.local.live_sets import LiveSets
from slipway.triton.client.smoke_test import Expected
from slipway.triton.repository.contents import contents, differences, remove_bytecode
from slipway.triton.repository.model_config import read_config, write_config
from slipway.triton.repository.model_folder import VERSION
from slipway.triton.server.tritonserver import PYTHON_CONFIGURATION

CONFIGURATIONS = ("config.pbtxt", f"configs/{PYTHON_CONFIGURATION}.pbtxt")
LABELS, INDEX, GOLDEN, SIGNATURE = "labels.txt", "index.json", "golden.npz", "repository.sig"
# Prefix, in the index, of the files in Triton's version folder.
_OF_VERSION = f"{VERSION}/"


@dataclass(frozen=True)
class Published:
    """One version of a model in the store: its number, its index with the SHA-256 of that file, its expected answer."""

    number: int
    index: dict
    index_sha256: str
    expected: Expected

    @property
    def name(self) -> str:
        """Return the name that clients use."""
        return self.index["name"]


class ModelStore:
    """A Triton model repository in which new versions are put beside the old ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = folder / "models"
        self._published = folder / "published"
        self.ledger = Ledger(self._published / "live.json")
        self.history = LiveSets(self._published / "live.json")

    def publish(self, folder: Path, index: dict, golden: Path, signature: Path | None = None) -> Published:
        """Copy the model folder of `index` in as a new version, and compare every copied file.

        A version that is stored already is not copied again; if it was changed since then, it is repaired. The served
        versions do not change. Raises SlipwayError if a copied file does not match the index.
        """
        name, recorded = index["name"], _recorded(index, golden)
        self.clear_up(name)
        number = self._number_of(name, recorded)
        if number is None:
            number = self._next_number(name)
            self._copy(number, folder, index, golden)
            self._enter(name, number, recorded)
        elif changed := self.changes(name, number):
            progress(f"  version {number} of {name} in {self.folder} was changed since ({changed}); putting it right")
            self._copy(number, folder, index, golden)
        if signature and signature.is_file():
            with written_whole(self._published / name / str(number) / SIGNATURE) as partial:
                shutil.copyfile(signature, partial)
        return self.published(name, number)

    def select(self, name: str, number: int) -> None:
        """Check a version against its record, and select it: Triton takes it when it next loads the model."""
        self.require_whole(name, number)
        modified_ns = self._newer_than_loaded(name)
        for file in CONFIGURATIONS:
            config = read_config(self._published / name / str(number) / file)
            config.version_policy.specific.versions.append(number)
            with _modified_at(modified_ns, self.models / name / file) as partial:
                write_config(partial, config)
        with _modified_at(modified_ns, self.models / name / LABELS) as partial:
            shutil.copyfile(self._published / name / str(number) / LABELS, partial)

    def _newer_than_loaded(self, name: str) -> int:
        """Return a time in ns that is after every time stamp that Triton has seen of this model, and record it.

        Triton loads a model again only if a file in its folder became newer, and remembers the time stamps of what it
        loaded: a clock that was set back, or files that were touched, must not keep it from loading.
        """
        modified_ns = self.ledger.read()["modified_ns"]
        seen = (path.stat().st_mtime_ns for path in (self.models / name).rglob("*"))
        newer = max(time.time_ns(), modified_ns.get(name, 0) + 1, *(stamp + 1 for stamp in seen))
        self.ledger.write(modified_ns=modified_ns | {name: newer})
        return newer

    def selected(self, name: str) -> int | None:
        """Return the version that Triton takes when it next loads the model; None if none was selected."""
        try:
            return read_config(self.models / name / CONFIGURATIONS[0]).version_policy.specific.versions[0]
        except (OSError, ValueError, IndexError, SlipwayError):
            return None

    def versions(self, name: str) -> list[int]:
        """Return the versions of a model that are recorded, ascending."""
        return sorted(map(int, self.ledger.read()["stored"].get(name, {})))

    def is_there(self) -> bool:
        """Say whether anything was ever stored here."""
        return self._published.is_dir()

    def knows(self, name: str) -> bool:
        """Say whether this server has or had a model."""
        return bool(self._numbers(name)) or name in self.ledger.read()["last"]

    def published(self, name: str, number: int) -> Published:
        """Return a version; raise SlipwayError unless it matches its record."""
        self.require_whole(name, number)
        return self._read(name, number)

    def proven_by(self, name: str, number: int) -> Published:
        """Return a version to test a server with; golden logits, labels and index are verified, the engine is not."""
        recorded, folder = self._record(name, number) or {}, self._published / name / str(number)
        for file in (INDEX, GOLDEN, LABELS):
            if not (folder / file).is_file() or sha256(folder / file) != recorded.get(file):
                raise SlipwayError(f"{folder / file} is not what was recorded")
        return self._read(name, number)

    def _read(self, name: str, number: int) -> Published:
        folder = self._published / name / str(number)
        index = read_json(folder / INDEX)
        expected = Expected.of(name, folder / GOLDEN, folder / LABELS, index["accuracy_limits"])
        return Published(number, index, sha256(folder / INDEX), expected)

    def require_whole(self, name: str, number: int) -> None:
        """Raise SlipwayError unless a version has exactly the files that were recorded."""
        changed = self.changes(name, number)
        if changed:
            raise SlipwayError(
                f"version {number} of {name} in {self.folder} is not what was proven ({changed}), so it is not served"
            )

    def changes(self, name: str, number: int) -> str:
        """Return the differences of a version from its record, as text; "" if there are none."""
        recorded = self._record(name, number)
        if recorded is None:
            return "its files were never recorded"
        present = self._contents(name, number)
        return differences(self._by_path(name, number, present), self._by_path(name, number, recorded))

    def require_signed(self, name: str, number: int, public_key: Path) -> None:
        """Raise SlipwayError unless a version has a signature, of this key and of exactly its files."""
        # Only here, since it takes half a second to import.
        from slipway.triton.repository.signing import verify_repository

        signature = self._published / name / str(number) / SIGNATURE
        folder = self.folder / "verifying"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            self.lay_out(name, number, folder)
            verify_repository(folder, public_key, signature)
        except SlipwayError as error:
            raise SlipwayError(f"version {number} of {name} is not served: {error}") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def lay_out(self, name: str, number: int, folder: Path) -> None:
        """Lay out a version in `folder` as a separate model repository, with links to the stored files."""
        for file in self._record(name, number):
            if file not in (INDEX, GOLDEN):
                _link(self._path(name, number, file), folder / name / file)

    def prune(self, name: str, keep: int) -> None:
        """Remove every version of a model but the `keep` that were live last."""
        kept = self.history.last_of(name, keep)
        stored = self.ledger.read()["stored"]
        remaining = {number: files for number, files in stored.get(name, {}).items() if int(number) in kept}
        # Without a record they do not exist, even if a kill interrupts their removal.
        self.ledger.write(live=self.history.without_others(name, kept), stored=stored | {name: remaining})
        self.clear_up(name)

    def clear_up(self, name: str) -> None:
        """Remove files without a record: a killed deployment was copying them, or had not yet removed them."""
        known = {*self.versions(name), *self.history.last_of(name), self.selected(name)}
        for number in self._numbers(name) - known:
            for folder in self._folders(name, number):
                shutil.rmtree(folder, ignore_errors=True)
        for root in (self.models, self._published):
            for partial in (root / name).glob(".partial.*"):
                remove(partial)

    def _number_of(self, name: str, recorded: dict[str, str]) -> int | None:
        """Return the newest version that consists of these files; None if there is none."""
        return next(
            (number for number in reversed(self.versions(name)) if self._record(name, number) == recorded), None
        )

    def _next_number(self, name: str) -> int:
        """Return a number that no version of a model has or had."""
        return max(self.ledger.read()["last"].get(name, 0), *self._numbers(name), 0) + 1

    def _numbers(self, name: str) -> set[int]:
        """Return the numbers of all existing folders, also of folders without a record."""
        folders = [path for root in (self.models, self._published) for path in (root / name).glob("[0-9]*")]
        return {int(folder.name) for folder in folders if folder.name.isdecimal()}

    def _folders(self, name: str, number: int) -> tuple[Path, Path]:
        """Return the folders of a version: the one that Triton reads, and the one with its configuration and proof."""
        return self._published / name / str(number), self.models / name / str(number)

    def _path(self, name: str, number: int, file: str) -> Path:
        """Return the path of a file of a version, named as in its index."""
        published, models = self._folders(name, number)
        return models / file.removeprefix(_OF_VERSION) if file.startswith(_OF_VERSION) else published / file

    def _by_path(self, name: str, number: int, files: dict[str, str]) -> dict[str, str]:
        """Return {path below the store: SHA-256} of the same files, for messages."""
        return {self._path(name, number, file).relative_to(self.folder).as_posix(): files[file] for file in files}

    def _enter(self, name: str, number: int, files: dict[str, str]) -> None:
        """Record a version that is complete; from now on it exists."""
        record = self.ledger.read()
        versions = record["stored"].get(name, {}) | {str(number): files}
        self.ledger.write(stored=record["stored"] | {name: versions}, last=record["last"] | {name: number})

    def _record(self, name: str, number: int) -> dict[str, str] | None:
        return self.ledger.read()["stored"].get(name, {}).get(str(number))

    def _contents(self, name: str, number: int) -> dict[str, str]:
        """Return {file: SHA-256} of a version's files as they are now, without the signature, which verifies itself.

        Compiled bytecode is removed first: Python would run it in place of the files that are compared.
        """
        published, models = self._folders(name, number)
        remove_bytecode(models)
        of_version = {f"{_OF_VERSION}{file}": digest for file, digest in contents(models).items()}
        return {file: digest for file, digest in contents(published).items() if file != SIGNATURE} | of_version

    def _copy(self, number: int, folder: Path, index: dict, golden: Path) -> None:
        """Copy the files of an index, its text and the golden logits, each folder completely or not at all."""
        name, wanted = index["name"], _recorded(index, golden)
        published, models = self._folders(name, number)
        files = {file: folder / file for file in index["files"]} | {GOLDEN: golden}
        for place, below in ((models, True), (published, False)):
            with written_whole(place) as partial:
                here = {
                    file.removeprefix(_OF_VERSION): file for file in wanted if file.startswith(_OF_VERSION) == below
                }
                for target, file in here.items():
                    (partial / target).parent.mkdir(parents=True, exist_ok=True)
                    if file == INDEX:
                        (partial / target).write_text(_text(index), encoding="utf-8")
                    else:
                        shutil.copyfile(files[file], partial / target)
                changed = differences(contents(partial), {target: wanted[file] for target, file in here.items()})
                if changed:
                    raise SlipwayError(
                        f"the copy of {folder} in {place} is not what was written ({changed}): the disk is full, or "
                        "somebody edits it; nothing that is served was changed"
                    )


def _recorded(index: dict, golden: Path) -> dict[str, str]:
    """Return {file: SHA-256} of every file of a version: the files in its index, that index, the golden logits."""
    text = hashlib.sha256(_text(index).encode()).hexdigest()
    return {**index["files"], INDEX: text, GOLDEN: sha256(golden)}


def _text(index: dict) -> str:
    return json.dumps(index, indent=2) + "\n"


@contextlib.contextmanager
def _modified_at(modified_ns: int, path: Path) -> Iterator[Path]:
    """Write `path` whole, with this time stamp."""
    with written_whole(path) as partial:
        yield partial
        os.utime(partial, ns=(modified_ns, modified_ns))


def _link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy if the file system has no such links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
