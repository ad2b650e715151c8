"""The release history of a model on one platform, and the record of an interrupted deployment.

<model>/deploy/receipt.<to>.json           receipt of the live version
<model>/deploy/<to>/<number>/              one version, in the layout of results/<model>/
<model>/deploy/<to>/<number>/receipt.json  its receipt, once it was proven
<model>/deploy/<to>/versions.json          every file of each version, with its SHA-256
<model>/deploy/<to>/begun.json             during a deployment: the number of its version, and the state before
"""

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from slipway.core.artifacts import write_json, written_whole
from slipway.core.errors import SlipwayError
from slipway.core.records import read_record, require_record
from slipway.deploy import sealed
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import GOLDEN, RECORD, Release

RECEIPT, BEGUN = "receipt.json", "begun.json"
RECEIPT_SHAPE = {"number": int}
# Prefix of a version's name while it is being removed.
REMOVED = ".removed."


class ReleaseHistory:
    """The versions that were deployed to one place; `results` is the folder of the model."""

    def __init__(self, results: Path, to: str) -> None:
        self.receipt_file = results / "deploy" / f"receipt.{to}.json"
        self.folder = results / "deploy" / to
        self._to = to

    def live(self) -> dict | None:
        """Return the receipt of the live version, None if there is none; the stored copy if the receipt is damaged."""
        receipt = read_record(self.receipt_file, RECEIPT_SHAPE)
        if receipt or not self.receipt_file.exists():
            return receipt
        stored = [read_record(self.folder / str(number) / RECEIPT, RECEIPT_SHAPE) for number in self.proven()]
        return max(filter(None, stored), key=lambda receipt: receipt.get("deployed_at", ""), default=None)

    def begun(self) -> dict | None:
        """Return {"number", "before"} of a deployment that did not end; None if there is none."""
        return read_record(self.folder / BEGUN, {"number": int, "before": dict})

    def version(self, number: int) -> Release | None:
        """Return a stored version; None if it does not exist."""
        folder = self.folder / str(number)
        return Release.read(folder, self._to) if (folder / RECORD).is_file() else None

    def require_whole(self, number: int) -> None:
        """Raise SlipwayError unless a stored version is unchanged since its deployment."""
        sealed.require_whole(self.folder, number)

    def receipt_of(self, number: int) -> dict:
        """Return the receipt of a version that was proven."""
        return require_record(self.folder / str(number) / RECEIPT, RECEIPT_SHAPE, "deploy again")

    def proven(self) -> list[int]:
        """Return the numbers of the proven versions with a readable receipt, ascending."""
        return sorted(int(folder.name) for folder in self._numbered() if read_record(folder / RECEIPT, RECEIPT_SHAPE))

    def readable(self) -> list[Release]:
        """Return the versions that were proven and can still be read."""
        versions = []
        for number in self.proven():
            with contextlib.suppress(SlipwayError, KeyError, TypeError, AttributeError):
                versions.append(self.version(number))
        return [version for version in versions if version]

    def rolled_back(self) -> set[int]:
        """Return the numbers of the versions that a rollback took out of service."""
        receipts = [read_record(self.folder / str(number) / RECEIPT, dict) or {} for number in self.proven()]
        return {receipt.get("rolled_back_from") for receipt in receipts} - {None}

    def keep(self, release: Release) -> Release:
        """Store a version beside the older ones, unless it is stored already; return the stored one."""
        if release.folder.parent == self.folder:
            return release
        numbers = [*(int(path.name) for path in self._numbered()), *sealed.numbers(self.folder)]
        live = self.live()
        same = live and live["identity"] == release.identity
        number = live["number"] if same else max(numbers, default=0) + 1
        folder = self.folder / str(number)
        if not (same and self.version(number) and not sealed.changes(self.folder, number)):
            with written_whole(folder) as partial:
                for path in files_of(release):
                    copy = partial / path.relative_to(release.folder)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
                if same:  # the stored copy was changed since, and is repaired
                    write_json(partial / RECEIPT, live)
            sealed.seal(self.folder, number)
        return Release.read(folder, self._to)

    def begin(self, release: Release, snapshot: dict) -> None:
        """Record that a stored version is about to replace the state in `snapshot`."""
        write_json(self.folder / BEGUN, {"number": number_of(release), "before": snapshot})

    def restored(self) -> None:
        """Record that the previous state was restored."""
        (self.folder / BEGUN).unlink(missing_ok=True)
        self._remove(path for path in self._numbered() if not (path / RECEIPT).is_file())

    def succeeded(self, release: Release, receipt: dict, keep: int) -> None:
        """Record that a stored version is live; remove the oldest versions beyond `keep`."""
        write_json(release.folder / RECEIPT, receipt)
        sealed.seal(self.folder, number_of(release))
        write_json(self.receipt_file, receipt)
        (self.folder / BEGUN).unlink(missing_ok=True)
        kept = {number_of(release), *self.proven()[-keep:]}
        self._remove(path for path in self._numbered() if int(path.name) not in kept)

    def withdraw(self) -> None:
        """Record that nothing is live there any more."""
        (self.folder / BEGUN).unlink(missing_ok=True)
        self.receipt_file.unlink(missing_ok=True)

    def _numbered(self) -> list[Path]:
        return [path for path in self.folder.glob("[0-9]*") if path.name.isdecimal()]

    def _remove(self, folders: Iterable[Path]) -> None:
        """Remove versions, and the rest of killed removals. Each is renamed first, so a kill leaves no half version."""
        doomed = list(folders)
        sealed.forget(self.folder, [int(folder.name) for folder in doomed])
        for folder in doomed:
            folder.rename(folder.with_name(f"{REMOVED}{folder.name}"))
        for left in self.folder.glob(f"{REMOVED}*"):
            shutil.rmtree(left, ignore_errors=True)


def versions_in_use(results: Path, target: str) -> set[str]:
    """Return the versions of a target's repository that any platform serves or may roll back to."""
    versions = [version for to in PLATFORMS for version in ReleaseHistory(results, to).readable()]
    return {version.version_of(target) for version in versions if target in version.targets}


def number_of(release: Release) -> int:
    """Return the number of a stored version."""
    return int(release.folder.name)


def files_of(release: Release) -> list[Path]:
    """Return the files that the deployment of a version and its proof need.

    This machine serves the stored repository itself: all its files are needed, and those that the composition names.
    """
    on_this_machine = PLATFORMS[release.to].on_this_machine
    files = [release.folder / RECORD, release.folder / GOLDEN, *release.files]
    for part in release.parts:
        names = part.index_content["files"] if on_this_machine else ["labels.txt"]
        signature = [part.signature] if part.signature.is_file() else []
        files += [part.index, *(part.repository / name for name in names), *signature]
    return files + (_named_by(release.files[0]) if on_this_machine else [])


def _named_by(composition: Path) -> list[Path]:
    """Return the configuration files that a composition names."""
    configs = yaml.safe_load(composition.read_text(encoding="utf-8")).get("configs", {})
    return [composition.parent / each["file"].removeprefix("./") for each in configs.values() if "file" in each]
