"""The stored releases of one model for a platform with manifests.

<model>/deploy/<to>/<number>/      one version, in the layout of results/<model>/
<model>/deploy/<to>/history.json   the ledger: the files of each version, the live versions, the rollout under way
"""

from pathlib import Path

import yaml

from slipway.core.artifacts import sha256
from slipway.core.cli import progress
from slipway.core.records import read_record
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import RECORD, REFERENCE, Release
from slipway.deploy.version_store import VersionStore
from slipway.triton.repository.publishing import require_published

# The part of a receipt that says which repository is served.
SERVED = {"targets": {str: {"version": str}}}


class ReleaseStore(VersionStore):
    """The stored releases of one model for the platform `to`, a folder for each version: results/<model>/deploy/<to>/.

    `results` is the model's folder results/<model>.
    """

    def __init__(self, results: Path, to: str) -> None:
        folder = results / "deploy" / to
        super().__init__(folder, folder / "history.json")
        self._to, self._receipt = to, results / "deploy" / PLATFORMS[to].receipt

    def keep(self, release: Release) -> Release:
        """Store a release beside the older releases, unless it is stored already; return the stored release.

        If the files of the stored release were changed, they are repaired.
        """
        if release.folder.parent == self.folder:
            return release
        sources = {path.relative_to(release.folder).as_posix(): path for path in files_of(release)}
        files = {file: sha256(path) for file, path in sources.items()}
        number = self._store(release.parts[0].name, files, sources)
        return Release.stored(self.folder / str(number), self._to)

    def release(self, versions: dict[str, int], receipts: dict[str, dict]) -> Release:
        """Return the stored release of one model. `versions` is {name on the server: version}, with this model only.

        `receipts` is not used. Raises SlipwayError if the files of the stored release were changed.
        """
        ((name, number),) = versions.items()
        self.require_whole(name, number)
        return Release.stored(self.folder / str(number), self._to)

    def require_proven(self, release: Release, public_key: Path | None) -> dict:
        """Raise SlipwayError if the copy of a stored release that the cluster reads was changed since it was published.

        Return {target: record of the publication}, as `deploy.publishing.publish` returned it. With `public_key`, a
        copy without a valid signature is an error, too; None checks no signature.
        """
        (number,) = {part.number for part in release.parts}
        published = self.ledger.read()["published"].get(release.parts[0].name, {}).get(str(number), {})
        for part in release.parts:
            record = published.get(part.target, {"published": False})
            if record["published"]:
                require_published(record["destination"], record["version"], part.index_content, public_key)
            elif not PLATFORMS[self._to].on_this_machine:
                progress(f"  {part.target}: not compared, since Slipway did not publish it: {record.get('why', '')}")
            else:
                part.require_signed(public_key)
        return published

    def roots(self, name: str) -> dict[str, Path]:
        """Return {"": this store's folder}: all files of a version are below its folder <number>.

        `name` is not used.
        """
        return {"": self.folder}

    def selected(self, name: str) -> int | None:
        """Return the version of the model that is live, from its receipt (deployment record); None without a receipt.

        The receipt has this number even if the ledger was lost.
        """
        return (read_record(self._receipt, {"number": int}) or {}).get("number")

    def next_number(self, name: str) -> int:
        """Return the highest number of an existing version, plus 1. A removed version's number may be used again."""
        return max([*self._numbers(name), *self.versions(name)], default=0) + 1

    def with_files(self) -> list[Release]:
        """Return the stored releases that are complete: all their recorded files still exist."""
        stored = self.ledger.read()["stored"]
        return [
            Release.stored(self.folder / number, self._to)
            for versions in stored.values()
            for number, files in versions.items()
            if all((self.folder / number / file).is_file() for file in files)
        ]


def versions_in_use(results: Path, target: str) -> set[str]:
    """Return the versions of a published repository that must stay: any platform serves them or may roll back to them.

    `results` is the folder results/<model>. A version is a text such as "v0123456789ab".
    """
    platforms = {to: traits for to, traits in PLATFORMS.items() if traits.files}
    releases = [release for to in platforms for release in ReleaseStore(results, to).with_files()]
    kept = {part.version for release in releases for part in release.parts if part.target == target}
    receipts = [read_record(results / "deploy" / traits.receipt, SERVED) or {} for traits in platforms.values()]
    return kept | {
        receipt["targets"][target]["version"] for receipt in receipts if target in receipt.get("targets", {})
    }


def files_of(release: Release) -> list[Path]:
    """Return the paths of the files that are needed to deploy a release and to prove it.

    For Compose, also return all files of the repository, and the configuration files that the Compose file names.
    """
    on_this_machine = PLATFORMS[release.to].on_this_machine
    files = [release.folder / RECORD, release.folder / REFERENCE, *release.files]
    for part in release.parts:
        names = part.index_content["files"] if on_this_machine else ["labels.txt"]
        signature = [part.signature] if part.signature.is_file() else []
        files += [part.index, *(part.repository / name for name in names), *signature]
    return files + (_named_by(release.files[0]) if on_this_machine else [])


def _named_by(composition: Path) -> list[Path]:
    """Return the paths of the configuration files that a Compose file names."""
    configs = yaml.safe_load(composition.read_text(encoding="utf-8")).get("configs", {})
    return [composition.parent / config["file"].removeprefix("./") for config in configs.values() if "file" in config]
