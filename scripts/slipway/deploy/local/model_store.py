"""The model store: the stored versions of models. The local server serves the selected versions.

<store>/models/<name>/<version>/      engine and adapter, as Triton reads them, one folder a version
<store>/models/<name>/config.pbtxt    and configs/, labels.txt: files of the selected version
<store>/published/<name>/<version>/   config.pbtxt, configs/, labels.txt, index, reference outputs, signature
<store>/published/live.json           the ledger: the files of each version, and the versions that were live together

A version exists once the ledger has all its files; the ledger is written last. A version that differs from the ledger
is not read.
"""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

from slipway.core.artifacts import atomic_write, sha256
from slipway.core.errors import SlipwayError, amended
from slipway.deploy.release import HERE, Part, Release
from slipway.deploy.version_store import SIGNATURE, VersionStore
from slipway.triton.repository.model_config import read_config, write_config
from slipway.triton.repository.model_folder import VERSION
from slipway.triton.server.installation import PYTHON_CONFIGURATION

CONFIGURATIONS = ("config.pbtxt", f"configs/{PYTHON_CONFIGURATION}.pbtxt")
LABELS, INDEX, REFERENCE = "labels.txt", "index.json", "reference_outputs.npz"


class ModelStore(VersionStore):
    """The stored versions of all models of the local server, as a Triton model repository below `folder`.

    The versions of a model lie beside each other. Triton serves the version that `select` selected.
    """

    of_all_models = True

    def __init__(self, folder: Path) -> None:
        self.models, self._published = folder / "models", folder / "published"
        super().__init__(folder, self._published / "live.json")

    def keep(self, release: Release) -> Release:
        """Store each part of a release (one model on one target) as a version; return the stored release."""
        return replace(release, parts=tuple(map(self.publish, release.parts)))

    def release(self, versions: dict[str, int], receipts: dict[str, dict]) -> Release:
        """Return the release with `versions`, {model's name on the server: number of a stored version}.

        `receipts` is {model in config.yaml: its deployment record}, which states the model's targets. For a model
        without a receipt, these come from the ledger. Raises SlipwayError if the files of a version differ from the
        ledger.
        """
        known = {receipt["served_as"]: {"model": model, **receipt} for model, receipt in receipts.items()}
        earlier = self.ledger.read()["models"]
        parts = []
        for name, number in versions.items():
            stored = self.published(name, number)
            entry = known.get(name) or earlier[name]
            parts += [replace(stored, model=entry["model"], target=target) for target in entry["targets"]]
        return Release("local", tuple(parts))

    def require_proven(self, release: Release, public_key: Path | None) -> dict:
        """Raise SlipwayError if `public_key` does not verify the signature of a version.

        If it is None, nothing is checked. The files are not compared again, because `release` compared them when the
        release was read. Return {target: {"published": False, "why": reason}}, since nothing is published on this
        machine.
        """
        for part in release.parts:
            if public_key:
                self.require_signed(part.name, part.number, public_key)
        return {part.target: {"published": False, "why": HERE} for part in release.parts}

    def publish(self, part: Part) -> Part:
        """Store the files of a part (one model on one target) as a new version, and return the stored part.

        The files are compared after the copy. A stored version is not copied again, but repaired if its files were
        changed. The served versions do not change. Raises SlipwayError if a copied file does not match the index.
        """
        if part.number:
            return part
        name, index = part.name, part.index_content
        files = index["files"] | {INDEX: part.index_sha256, REFERENCE: sha256(part.reference)}
        sources = {file: part.repository / file for file in index["files"]} | {
            INDEX: part.index,
            REFERENCE: part.reference,
        }
        number = self._store(name, files, sources)
        if part.signature.is_file():
            with atomic_write(self.path(name, number, SIGNATURE)) as partial:
                shutil.copyfile(part.signature, partial)
        return replace(self.published(name, number), model=part.model, target=part.target)

    def select(self, name: str, number: int) -> None:
        """Make Triton serve version `number` of the model `name` from the next load of the model.

        Raises SlipwayError if the files of the version differ from the ledger.
        """
        self.require_whole(name, number)
        modified_ns = self._newer_than_loaded(name)
        for file in (*CONFIGURATIONS, LABELS):
            stored = self.path(name, number, file)
            with atomic_write(self.models / name / file) as partial:
                if file == LABELS:
                    shutil.copyfile(stored, partial)
                else:
                    config = read_config(stored)
                    config.version_policy.specific.versions.append(number)
                    write_config(partial, config)
                os.utime(partial, ns=(modified_ns, modified_ns))

    def _newer_than_loaded(self, name: str) -> int:
        """Return a time stamp (ns) that makes Triton load a model again: newer than all that it has seen. Record it.

        Triton loads a model again only if a file in the model's folder became newer. A clock that was set back, or a
        touched file, must not prevent a load.
        """
        modified_ns = self.ledger.read()["modified_ns"]
        seen = (path.stat().st_mtime_ns for path in (self.models / name).rglob("*"))
        newer = max(time.time_ns(), modified_ns.get(name, 0) + 1, *(stamp + 1 for stamp in seen))
        self.ledger.write(modified_ns=modified_ns | {name: newer})
        return newer

    def selected(self, name: str) -> int | None:
        """Return the version of the model `name` that Triton serves from its next load; None if none was selected."""
        try:
            return read_config(self.models / name / CONFIGURATIONS[0]).version_policy.specific.versions[0]
        except (OSError, ValueError, IndexError, SlipwayError):
            return None

    def published(self, name: str, number: int) -> Part:
        """Return version `number` of the model `name` as a Part, with the paths of its stored files.

        Raises SlipwayError if these files differ from the ledger.
        """
        self.require_whole(name, number)
        return self._read(name, number)

    def proven_by(self, name: str, number: int) -> Part:
        """Return a stored version as a Part whose reference request and outputs can be used to test a server.

        Raises SlipwayError if the reference outputs, the labels or the index were changed. The engine is not checked.
        """
        part, recorded = self._read(name, number), self.record(name, number) or {}
        for file in (INDEX, REFERENCE, LABELS):
            path = self.path(name, number, file)
            if not path.is_file() or sha256(path) != recorded.get(file):
                raise SlipwayError(f"{path} was edited since it was stored; `snakemake --cores 1 deploy` repairs it")
        return part

    def _read(self, name: str, number: int) -> Part:
        if REFERENCE not in (self.record(name, number) or {}):
            raise SlipwayError(
                f"version {number} of {name} was stored by an earlier version of Slipway, and cannot be used; deploy "
                "again"
            )
        folder = self.path(name, number, "")
        return Part(name, "", folder, folder / INDEX, folder / REFERENCE, number=number)

    def require_signed(self, name: str, number: int, public_key: Path) -> None:
        """Raise SlipwayError unless `public_key` verifies the signature and all files of a stored version.

        `name` is the model's name on the server.
        """
        # This import takes half a second, so it is not at the top.
        from slipway.triton.repository.signing import verify_repository

        folder = self.folder / "verifying"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with amended(before=f"version {number} of {name} is not served: "):
                self.lay_out(name, number, folder)
                verify_repository(folder, public_key, self.path(name, number, SIGNATURE))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def lay_out(self, name: str, number: int, folder: Path) -> None:
        """Make a model repository in `folder` that has only one stored version, with links to the stored files.

        A trial server serves from such a folder, and signatures are verified there.
        """
        for file in self.record(name, number) or ():
            if file not in (INDEX, REFERENCE):
                _link(self.path(name, number, file), folder / name / file)

    def roots(self, name: str) -> dict[str, Path]:
        """Return the folders with the files of a model's versions: {"": folder, "1/": folder}.

        The first folder has configurations and proofs. The second has the engines, whose paths in the index begin with
        "1/"; Triton reads only this folder.
        """
        return {"": self._published / name, f"{VERSION}/": self.models / name}


def _link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy if the file system has no such links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
