"""The release history of one platform: the live releases, the rollout under way, and the release to go back to.

A receipt is the record of a model's deployment; a model is live while its receipt exists. The ledger, one file, records
the stored and live versions, and the intent of a rollout before anything starts. The intent stays until the receipts
and the ledger have the proven versions. So the next command knows the intent of an interrupted rollout.
"""

import contextlib
import errno
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from slipway.core.artifacts import remove, write_json
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError, amended
from slipway.core.records import has_shape, read_record
from slipway.deploy.ledger import DEPLOYMENT, ROLLBACK, Rollout, Versions, in_words
from slipway.deploy.receipts import RECEIPT, read_receipt
from slipway.deploy.release import Part, Release
from slipway.deploy.version_store import VersionStore
from slipway.history import changes as history_file

# The end of an error message about a stored version that differs from the proven version.
INSTEAD = (
    "Nothing was changed, and the live version serves on. `snakemake --cores 1 deploy` serves the models of "
    "config.yaml: to go back, put the earlier checkpoint or setting there"
)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class DeploymentState:
    """The state of a platform after earlier deployments, as this checkout recorded it.

    `receipt`: the deployment record of the live release. `live`: that release, if its stored copy is unchanged.
    `baseline`: the snapshot before an interrupted rollout, which a failed deployment restores; {} otherwise.
    `attempted`: the unverified release of the interrupted rollout. `serving`: {model: live version} if one server has
    all models, else {}.
    """

    receipt: dict | None = None
    live: Release | None = None
    baseline: dict = field(default_factory=dict)
    attempted: Release | None = None
    serving: Versions = field(default_factory=dict)


class ReleaseHistory:
    """The releases of some models on one platform: live, interrupted and earlier ones.

    `receipts` are the paths of the models' receipts, their deployment records. `store` has the stored versions, and the
    ledger, the file that records them. A model is live while its receipt exists.
    """

    def __init__(self, store: VersionStore, receipts: Iterable[Path]) -> None:
        self.store, self.receipts = store, list(receipts)

    def live(self) -> dict[str, dict]:
        """Return {model: receipt} of the live models: the records of their deployments.

        The model is named as in config.yaml. The ledger's copy replaces a damaged receipt.
        """
        existing = (path for path in self.receipts if path.exists())
        return {receipt["model"]: receipt for _, receipt in self._of_files(existing)}

    def with_unconfigured(self) -> "ReleaseHistory":
        """Return a history that also has the live models that config.yaml does not have any more."""
        return ReleaseHistory(self.store, [*self.receipts, *self._unconfigured()])

    def serving(self) -> Versions:
        """Return {model: live version} of all models on the platform, including models that config.yaml lacks."""
        recorded = self.store.ledger.live()
        if not self.store.of_all_models:
            return recorded or self._numbers()
        numbers = self.with_unconfigured()._numbers()
        return {name: recorded.get(name, number) for name, number in numbers.items()}

    def is_live(self) -> bool:
        """Say whether a model of this history is live: it has a receipt (a deployment record), even a damaged one."""
        return any(path.exists() for path in self.receipts)

    def damaged(self) -> list[Path]:
        """Return the paths of the receipts (deployment records) that cannot be read and have no copy in the ledger."""
        return [path for path in self.receipts if path.exists() and not self._receipt(path)]

    def release(self, versions: Versions) -> Release:
        """Return the stored release with `versions`, {model's name on the server: version}.

        Raises SlipwayError if a stored version was changed, or does not exist.
        """
        rollout = self.pending()
        begun = {entry["model"]: entry for entry in rollout.receipts.values()} if rollout else {}
        return self.store.release(versions, begun | self.with_unconfigured().live())

    def find(self, receipt: dict) -> Release | None:
        """Return the stored release of a deployment; None if the stored release is missing or was changed.

        `receipt` is the record of the deployment.
        """
        return self._intact({receipt["served_as"]: receipt["number"]})

    def pending(self) -> Rollout | None:
        """Return the record of the deployment or rollback that was begun and has not ended; None if there is none."""
        recorded = self.store.ledger.read()["rollout"]
        return Rollout(**recorded) if recorded else None

    def attempted(self) -> Release | None:
        """Return the release of a deployment or rollback that was interrupted; None if there was none.

        Return None also if the stored release was changed since.
        """
        rollout = self.pending()
        return self._intact(rollout.versions) if rollout else None

    def _intact(self, versions: Versions) -> Release | None:
        with contextlib.suppress(SlipwayError):
            return self.release(versions)
        return None

    def state(self) -> DeploymentState:
        """Return the recorded state of a platform on which each model has its own objects, for the next deployment.

        Print a message if a rollout was interrupted, or if the stored copy of the live release was changed.
        """
        receipt, live, baseline = next(iter(self.live().values()), None), None, {}
        attempted, rollout = self.attempted(), self.pending()
        if attempted and rollout:
            progress(f"  {rollout} was killed midway; continuing from its state")
            baseline = rollout.snapshot
        try:
            live = self.release({receipt["served_as"]: receipt["number"]}) if receipt else None
        except SlipwayError as error:
            progress(f"  WARNING: {error}; its state is read from the platform itself")
        return DeploymentState(receipt, live, baseline, attempted)

    def before(self, alone: bool = False) -> Release:
        """Return the release that a rollback deploys: the versions that were live before the present versions.

        The release has only the models whose version changes. With `alone`, it has only models of this history, and all
        other models stay as they are. After an interrupted deployment, it has the versions that were live before this
        deployment. Raises SlipwayError if no earlier release is known, or if a stored version was changed.
        """
        for path in self.damaged():
            raise SlipwayError(
                f"{path} is missing or damaged; `snakemake --cores 1 deploy` writes it again. Nothing was changed"
            )
        now, rollout = self.serving(), self.pending()
        serving, versions = now, self._before(now) if alone else self.store.ledger.before(now)
        interrupted = rollout is not None and rollout.action == DEPLOYMENT and rollout.versions != now
        if rollout and interrupted:
            serving, versions = rollout.versions, rollout.before
        if not versions:
            these = {name: number for name, number in now.items() if not alone or name in self._names()}
            raise SlipwayError(
                f"no version is stored that was live before {in_words(these)}; `deploy.keep_versions` in config.yaml "
                "is the number of stored versions. Nothing was changed"
            )
        changed = {name: number for name, number in versions.items() if interrupted or serving.get(name) != number}
        with amended(after=f". {INSTEAD}"):
            release = self.release(changed)
        return replace(release, withdrawn=tuple(name for name in serving if name not in versions))

    def without(self) -> Release:
        """Return a release without parts: its deployment takes the models of this history out of service."""
        return Release("local", (), withdrawn=tuple(name for name in self.serving() if name in self._names()))

    def begin(self, release: Release, snapshot: dict, action: str, chosen: Collection[str] | None = None) -> None:
        """Record that the rollout of a stored release begins, so that the next command knows it after a kill.

        `snapshot` is the platform's state before the rollout, as `Platform.snapshot` returns it. `action` is
        "deployment" or "rollback". `chosen` are the names, on the server, of the models that the user deploys or rolls
        back; None means all models of the release. All other models of the release are served as before, but by a new
        server.
        """
        before = self.serving()
        receipts: dict[str, dict] = {}
        for part in release.parts:
            back_from = self._rolled_back_from(part, action, chosen is None or part.name in chosen)
            more = {"rolled_back_from": back_from} if back_from else {}
            entry = {"model": part.model, "served_as": part.name, "targets": [], "more": more}
            receipts.setdefault(self._path_of(part.model).as_posix(), entry)["targets"].append(part.target)
        others = before if self.store.of_all_models else {}
        after = {name: number for name, number in (others | release.versions).items() if name not in release.withdrawn}
        live = self._of_files(self.with_unconfigured().receipts)
        withdrawn = [path.as_posix() for path, receipt in live if receipt["served_as"] in release.withdrawn]
        self.store.ledger.write(rollout=asdict(Rollout(action, after, before, receipts, withdrawn, snapshot)))

    def _rolled_back_from(self, part: Part, action: str, is_chosen: bool) -> int | None:
        """Return the version that a rollback replaced by this part; None if no rollback made this part live.

        `action` is "deployment" or "rollback". `is_chosen` is False for a model that only gets a new server.
        """
        if action == ROLLBACK and is_chosen:
            # A rollback replaces the versions of an interrupted deployment, or the live versions.
            rollout = self.pending()
            replaced = rollout.versions if rollout and rollout.action == DEPLOYMENT else self.serving()
            if replaced.get(part.name, part.number) != part.number:
                return replaced[part.name]
        if action == DEPLOYMENT and is_chosen:
            return None
        live = {receipt["served_as"]: receipt for receipt in self.with_unconfigured().live().values()}
        receipt = live.get(part.name, {})
        return receipt.get("rolled_back_from") if receipt.get("number") == part.number else None

    def restored(self) -> None:
        """Record that a failed or interrupted rollout has ended, and that the previous versions serve again."""
        with contextlib.suppress(OSError):
            rollout = self.pending()
            self.store.ledger.write(rollout=None)
            for name in rollout.versions if rollout and not self.store.of_all_models else ():
                self.store.prune(name)

    def record(self, receipts: dict[str, dict]) -> None:
        """Record a proven release as live: write the receipts, and then the ledger, which ends the rollout.

        `receipts` is {model: receipt}, the deployment records, as `verification.receipts_of` returns. Raises
        SlipwayError if a file cannot be written, for example because the disk is full.
        """
        rollout = self.pending()
        assert rollout, "nothing was begun"
        written = {file: self._completed(receipts[entry["model"]], entry) for file, entry in rollout.receipts.items()}
        recorded = self.store.ledger.read()
        renewed = {receipt["model"] for receipt in written.values()}
        others = {
            file: receipt
            for file, receipt in recorded["receipts"].items()
            if receipt.get("model") not in renewed and receipt.get("served_as") in rollout.versions
        }
        changes = {"rollout": None, "receipts": others | written, **self.store.ledger.facts_of(receipts.values())}
        try:
            for file, receipt in written.items():
                write_json(file, receipt)
            history_file.went_live(written)
            history_file.ended(self._of_files(map(Path, rollout.withdrawn)))
            for file in rollout.withdrawn:
                remove(Path(file))
            if rollout.action == ROLLBACK:
                self.store.ledger.rolled_back(rollout.before, rollout.versions, **changes)
            else:
                self.store.ledger.went_live(rollout.versions, **changes)
        except OSError as error:
            reason = f"the disk is full ({error})" if error.errno in _FULL else str(error)
            raise SlipwayError(
                f"{in_words(rollout.proven)} is served and was proven, but the receipt could not be written: {reason}. "
                "Remove this cause; the next `snakemake --cores 1 status`, deploy or rollback writes the receipt"
            ) from None

    def prune(self, release: Release, keep: int) -> None:
        """Remove old stored versions of a release's models: all except the last `keep` versions that were live.

        The number counts for each model.
        """
        for name in release.versions:
            self.store.prune(name, keep)

    def undeployed(self) -> None:
        """Remove the receipts of this history, and record that nothing is live on the platform any more."""
        existing = [path for path in self.receipts if path.exists() or path.is_symlink()]
        paths = [*existing, *self._unconfigured()]
        history_file.ended(self._of_files(paths))
        for path in paths:
            remove(path)
        if self.store.is_there():
            self.store.ledger.write(rollout=None, receipts={})

    def restore_ledger(self) -> None:
        """If the ledger lost live versions, record them again from the receipts, the models' deployment records.

        A version whose stored files were changed since its deployment is left out.
        """
        lost, ledger = {}, self.store.ledger
        for path, receipt in self._of_files(self.with_unconfigured().receipts):
            name, number, files = receipt["served_as"], receipt["number"], receipt.get("stored_files")
            if files and name not in ledger.live() and self.store.contents(name, number) == files:
                self.store.enter(name, number, files)
                lost[path.as_posix()] = receipt
        if lost:
            receipts = ledger.read()["receipts"] | lost
            ledger.went_live(self.serving(), receipts=receipts, **ledger.facts_of(lost.values()))
            progress(f"  {ledger.file} was lost; it was written again, from the receipts of the live versions")

    def _completed(self, receipt: dict, entry: dict) -> dict:
        """Return a receipt with its entries that were not known before the rollout's end.

        `receipt` is a model's deployment record, and `entry` is its plan in `Rollout.receipts`. The plan's "more" is
        added, and "stored_files", {file: SHA-256} of the stored version.
        """
        return {**receipt, **entry["more"], "stored_files": self.store.record(receipt["served_as"], receipt["number"])}

    def _receipt(self, path: Path) -> dict | None:
        recorded = self.store.ledger.read()["receipts"].get(path.as_posix())
        return read_receipt(path) or (recorded if has_shape(recorded, RECEIPT) else None)

    def _of_files(self, paths: Iterable[Path]) -> list[tuple[Path, dict]]:
        """Return (path, receipt) of each path in `paths` whose receipt, or its copy in the ledger, can be read."""
        return [(path, receipt) for path in paths if (receipt := self._receipt(path))]

    def _numbers(self) -> Versions:
        return {receipt["served_as"]: receipt["number"] for receipt in self.live().values()}

    def _names(self) -> set[str]:
        """Return the names, on the server, of all models of this history, live or not."""
        folders = {path.parents[1].name for path in self.receipts}
        known = self.store.ledger.read()["models"]
        return {*self._numbers(), *(name for name, entry in known.items() if entry["model"] in folders)}

    def _before(self, now: Versions) -> Versions | None:
        """Return the versions to which a rollback of only this history's models goes back, {model: version}.

        `now` are the live versions of all models; the other models keep theirs. Return None if a model has no previous
        version.
        """
        names, ledger = self._names(), self.store.ledger
        earlier = {name: number for name in names if (number := ledger.before_of(name, now.get(name)))}
        return now | earlier if names and len(earlier) == len(names) else None

    def _path_of(self, model: str) -> Path:
        """Return the path of a model's receipt for this platform."""
        first = self.receipts[0]
        return first.parents[2] / model / first.parent.name / first.name

    def _unconfigured(self) -> list[Path]:
        """Return the paths of the receipts of live models that config.yaml does not have any more.

        Return [] on a platform on which each model has its own objects.
        """
        if not self.store.of_all_models:
            return []
        first, configured = self.receipts[0], {path.absolute() for path in self.receipts}
        existing = sorted(first.parents[2].glob(f"*/{first.parent.name}/{first.name}"))
        others = [path for path in existing if path.absolute() not in configured]
        known = {path: read_record(path, {"served_as": str}) or self._receipt(path) for path in others}
        return [path for path, receipt in known.items() if receipt and self.store.knows(receipt["served_as"])]
