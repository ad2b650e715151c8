"""The model store: the stored versions of models, of which the local server serves the selected ones.

<store>/models/<name>/<version>/      engine and adapter, as Triton reads them, one folder a version
<store>/models/<name>/config.pbtxt    and configs/, labels.txt: those of the version that is selected
<store>/published/<name>/<version>/   the same files of that version, its index, its golden answers, its signature
<store>/published/live.json           the record: every file of each version, and which were live together

A version exists once the record has all its files; the record is written last. A version that differs is not read.
"""

import hashlib
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

from slipway.core.artifacts import sha256, written_whole
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError, amended
from slipway.deploy.release import HERE, Part, Release
from slipway.deploy.version_store import Files, VersionStore
from slipway.triton.repository.contents import contents, differences, remove_bytecode
from slipway.triton.repository.model_config import read_config, write_config
from slipway.triton.repository.model_folder import VERSION
from slipway.triton.server.tritonserver import PYTHON_CONFIGURATION

CONFIGURATIONS = ("config.pbtxt", f"configs/{PYTHON_CONFIGURATION}.pbtxt")
LABELS, INDEX, GOLDEN, SIGNATURE = "labels.txt", "index.json", "golden.npz", "repository.sig"
# Prefix, in the index, of the files in Triton's version folder.
_OF_VERSION = f"{VERSION}/"


class ModelStore(VersionStore):
    """A Triton model repository in which new versions are put beside the old ones."""

    of_all_models = True

    def __init__(self, folder: Path) -> None:
        self.models, self._published = folder / "models", folder / "published"
        super().__init__(folder, self._published / "live.json")

    def keep(self, release: Release) -> Release:
        """Store each part as a version beside the older ones; return the release of the stored ones."""
        return replace(release, parts=tuple(self._keep(part) for part in release.parts))

    def release(self, versions: dict[str, int], receipts: dict[str, dict]) -> Release:
        """Return the release of stored versions {model: version}; `receipts` {model: receipt} have the rest of it.

        Raises SlipwayError if the files of a version differ from its record.
        """
        parts = [
            replace(self.published(receipt["served_as"], versions[receipt["served_as"]]), model=model, target=target)
            for model, receipt in receipts.items()
            if receipt["served_as"] in versions
            for target in receipt["targets"]
        ]
        return Release("local", tuple(parts))

    def require_proven(self, release: Release, public_key: Path | None) -> dict:
        """Return {target: {"published": False, "why"}}. With a key, raise SlipwayError if a version is not signed."""
        for part in release.parts if public_key else ():
            self.require_signed(part.name, part.number, public_key)
        return {part.target: {"published": False, "why": HERE} for part in release.parts}

    def _keep(self, part: Part) -> Part:
        if part.number is not None:
            return part
        stored = self.publish(part.repository, part.index_content, part.golden, part.signature)
        return replace(stored, model=part.model, target=part.target)

    def publish(self, folder: Path, index: dict, golden: Path, signature: Path | None = None) -> Part:
        """Copy the model folder of `index` in as a new version, and compare every copied file.

        A version that is stored already is not copied again; if it was changed since then, it is repaired. The served
        versions do not change. Raises SlipwayError if a copied file does not match the index.
        """
        name, recorded = index["name"], _recorded(index, golden)
        self.clear_up(name)
        number = self.number_of(name, recorded)
        if number is None:
            number = self.next_number(name)
            self._copy(number, folder, index, golden)
            self.enter(name, number, recorded)
        elif changed := self.changes(name, number):
            progress(f"  version {number} of {name} in {self.folder} was changed since ({changed}); putting it right")
            self._copy(number, folder, index, golden)
        if signature and signature.is_file():
            with written_whole(self._folder(name, number) / SIGNATURE) as partial:
                shutil.copyfile(signature, partial)
        return self.published(name, number)

    def select(self, name: str, number: int) -> None:
        """Check a version against its record, and select it: Triton takes it when it next loads the model."""
        self.require_whole(name, number)
        modified_ns = self._newer_than_loaded(name)
        for file in (*CONFIGURATIONS, LABELS):
            stored = self._folder(name, number) / file
            with written_whole(self.models / name / file) as partial:
                if file == LABELS:
                    shutil.copyfile(stored, partial)
                else:
                    config = read_config(stored)
                    config.version_policy.specific.versions.append(number)
                    write_config(partial, config)
                os.utime(partial, ns=(modified_ns, modified_ns))

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

    def published(self, name: str, number: int) -> Part:
        """Return a version; raise SlipwayError unless it matches its record."""
        self.require_whole(name, number)
        return self._read(name, number)

    def proven_by(self, name: str, number: int) -> Part:
        """Return a version to test a server with; golden answers, labels and index are verified, the engine is not."""
        recorded, folder = self.record(name, number) or {}, self._folder(name, number)
        for file in (INDEX, GOLDEN, LABELS):
            if not (folder / file).is_file() or sha256(folder / file) != recorded.get(file):
                raise SlipwayError(f"{folder / file} is not what was recorded")
        return self._read(name, number)

    def _read(self, name: str, number: int) -> Part:
        folder = self._folder(name, number)
        return Part(name, "", folder, folder / INDEX, folder / GOLDEN, number=number)

    def require_signed(self, name: str, number: int, public_key: Path) -> None:
        """Raise SlipwayError unless a version has a signature, of this key and of exactly its files."""
        # Only here, since it takes half a second to import.
        from slipway.triton.repository.signing import verify_repository

        folder = self.folder / "verifying"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with amended(before=f"version {number} of {name} is not served: "):
                self.lay_out(name, number, folder)
                verify_repository(folder, public_key, self._folder(name, number) / SIGNATURE)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def lay_out(self, name: str, number: int, folder: Path) -> None:
        """Lay out a version in `folder` as a separate model repository, with links to the stored files."""
        for file in self.record(name, number):
            if file not in (INDEX, GOLDEN):
                _link(self.path(name, number, file), folder / name / file)

    def discard_refused(self, name: str) -> None:
        """Do nothing: the next version that is live lets them go."""

    def in_use(self, name: str) -> set[int]:
        """Return the versions that were live or that Triton takes when it next loads the model."""
        return super().in_use(name) | {self.selected(name)}

    def roots(self, name: str) -> list[Path]:
        """Return the folder that Triton reads, and the one with configurations and proofs."""
        return [self._published / name, self.models / name]

    def _folder(self, name: str, number: int) -> Path:
        """Return the folder with a version's configuration and proof."""
        return self._published / name / str(number)

    def _engine(self, name: str, number: int) -> Path:
        """Return Triton's folder of a version, with the engine."""
        return self.models / name / str(number)

    def path(self, name: str, number: int, file: str) -> Path:
        """Return where a file of a version lies; it is named as in the version's index."""
        if file.startswith(_OF_VERSION):
            return self._engine(name, number) / file.removeprefix(_OF_VERSION)
        return self._folder(name, number) / file

    def contents(self, name: str, number: int) -> Files:
        """Return {file: SHA-256} of a version's files as they are now, without the signature, which verifies itself.

        Compiled bytecode is removed first: Python would run it in place of the files that are compared.
        """
        engine, proof = self._engine(name, number), contents(self._folder(name, number))
        remove_bytecode(engine)
        of_version = {f"{_OF_VERSION}{file}": digest for file, digest in contents(engine).items()}
        return {file: digest for file, digest in proof.items() if file != SIGNATURE} | of_version

    def _copy(self, number: int, folder: Path, index: dict, golden: Path) -> None:
        """Copy the files of an index, its text and the golden answers, each folder completely or not at all."""
        name, wanted = index["name"], _recorded(index, golden)
        files = {file: folder / file for file in index["files"]} | {GOLDEN: golden}
        for place, prefix in ((self._engine(name, number), _OF_VERSION), (self._folder(name, number), "")):
            here = {file.removeprefix(prefix): file for file in wanted if file.startswith(_OF_VERSION) == bool(prefix)}
            with written_whole(place) as partial:
                for target, file in here.items():
                    (partial / target).parent.mkdir(parents=True, exist_ok=True)
                    if file == INDEX:
                        (partial / target).write_text(_text(index), encoding="utf-8")
                    else:
                        shutil.copyfile(files[file], partial / target)
                if changed := differences(contents(partial), {target: wanted[file] for target, file in here.items()}):
                    raise SlipwayError(
                        f"the copy of {folder} in {place} is not what was written ({changed}): the disk is full, or "
                        "somebody edits it; nothing that is served was changed"
                    )


def _recorded(index: dict, golden: Path) -> dict[str, str]:
    """Return {file: SHA-256} of every file of a version: the files in its index, that index, the golden answers."""
    text = hashlib.sha256(_text(index).encode()).hexdigest()
    return {**index["files"], INDEX: text, GOLDEN: sha256(golden)}


def _text(index: dict) -> str:
    return json.dumps(index, indent=2) + "\n"


def _link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy if the file system has no such links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
