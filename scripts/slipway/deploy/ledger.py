"""The ledger of a release history: the stored versions, the live versions, and the rollout that is under way.

Each write replaces the whole file, so its parts always belong together. A version is the number of a stored release:

    live       [{model: version}, ...]             the versions that were live together, the oldest first
    run        id or null                          the run of Snakemake that made the last entry of `live` live
    stored     {model: {version: {file: SHA-256}}} every file of each stored version; other versions do not exist
    last       {model: version}                    the highest version number of a model so far
    rollout    {...} or null                       the rollout that is under way
    receipts   {file: receipt}                     the receipts of the live models; {} after `undeploy`
    models     {model: {"model", "targets"}}       name in config.yaml and targets of each model that was ever live
    modified_ns  {model: ns}                       the newest time stamp of a model's files that Triton has seen
    published  {model: {version: {target: ...}}}   where the repositories of a stored version were published

`live` stays after `undeploy`, so that a rollback can serve the last version again. So `live` and the receipts of single
versions cannot replace `receipts`.

The ledger lies outside the versions' folders. So a version whose files and index were both edited still differs from
the ledger.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType

from slipway.core.artifacts import remove, write_json
from slipway.core.cli import progress
from slipway.core.records import read_record

# Versions that are live at the same time: {name of a model: its version}.
Versions = dict[str, int]
DEPLOYMENT, ROLLBACK = "deployment", "rollback"
_EMPTY: dict = {"live": [], "run": None, "rollout": None}
_EMPTY |= {name: {} for name in ("stored", "last", "receipts", "models", "modified_ns", "published")}
# The environment variable with the id of a run of Snakemake. It repeats surviving_jobs.VARIABLE to avoid its imports.
RUN = "SLIPWAY_RUN"


_NUMBERS: dict = {str: int}
_ROLLOUT = {"action": str, "versions": _NUMBERS, "before": _NUMBERS, "receipts": {str: dict}, "withdrawn": [str]}
_SHAPE = {
    "live": [_NUMBERS],
    "run": (str, NoneType),
    "rollout": (_ROLLOUT, NoneType),
    "stored": {str: {str: {str: str}}},
    "last": _NUMBERS,
    "receipts": {str: dict},
    "models": {str: {"model": str, "targets": list}},
    "modified_ns": _NUMBERS,
    "published": {str: dict},
}


@dataclass(frozen=True)
class Rollout:
    """A change of the live versions from `before` to `versions`. `snapshot` is the platform's state before the change.

    `action` is "deployment" or "rollback". `receipts` are the receipts to write, {file: {"model": name in config.yaml,
    "served_as": name for clients, "targets": list, "more": further entries of the receipt}}. `withdrawn` are the paths
    of the receipts to remove, of models that are not served any more.
    """

    action: str
    versions: Versions
    before: Versions
    receipts: dict[str, dict]
    withdrawn: list[str]
    snapshot: dict = field(default_factory=dict)

    @property
    def proven(self) -> Versions:
        """Return {model: version} that the rollout proves. The other models in `versions` stay live unchanged."""
        names = {entry["served_as"] for entry in self.receipts.values()}
        return {name: number for name, number in self.versions.items() if name in names}

    def __str__(self) -> str:
        return f"the {self.action} of {in_words(self.proven or self.versions)}"


def in_words(versions: Versions) -> str:
    """Return versions as text, such as "resnet50 version 3"; "nothing" if there are no versions."""
    return ", ".join(f"{name} version {number}" for name, number in versions.items()) or "nothing"


class Ledger:
    """The file of a ledger. Each method reads the file from disk.

    The list `live` in the file has no duplicates, and its last entry is the latest.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> dict:
        """Return the ledger's content: {part: content}. If the file is missing or damaged, all parts are empty."""
        return self._sound() or dict(_EMPTY)

    def write(self, **changes: object) -> None:
        """Write the ledger to disk, with the parts in `changes` replaced."""
        write_json(self.file, self.read() | changes)

    def set_aside_if_damaged(self) -> None:
        """If the file is damaged, rename it to *.damaged, and print a warning."""
        if self._sound() is not None or not self.file.exists():
            return
        aside = self.file.with_name(f"{self.file.name}.damaged")
        remove(aside)
        self.file.rename(aside)
        progress(
            f"  WARNING: {self.file} is damaged and was set aside as {aside.name}: older versions cannot be verified "
            "any more, so no rollback to them is possible"
        )

    def restore_receipts(self) -> None:
        """Write again each receipt file that is missing, damaged, or different from its copy in the ledger."""
        for file, content in self.read()["receipts"].items():
            if read_record(file, object) != content:
                write_json(file, content)
                progress(f"  {file} was not the receipt of the live version; it was written again")

    def facts_of(self, receipts: Iterable[dict]) -> dict[str, dict]:
        """Return the parts {"published", "models"} of the ledger, with the entries that these receipts add."""
        recorded = self.read()
        published, models = dict(recorded["published"]), dict(recorded["models"])
        for receipt in receipts:
            name = receipt["served_as"]
            published[name] = published.get(name, {}) | {str(receipt["number"]): receipt["published"]}
            models[name] = {"model": receipt["model"], "targets": list(receipt["targets"])}
        return {"published": published, "models": models}

    def live(self) -> Versions:
        """Return the last entry of the list `live`, {model: version}; {} if no version was ever live."""
        return (self.read()["live"] or [{}])[-1]

    def went_live(self, versions: Versions, **changes: object) -> None:
        """Record that `versions` are proven and live, together with further `changes` of the ledger.

        The deployments of one run of Snakemake are one step: a rollback goes back to the versions before the whole run.
        """
        record, run = self.read(), os.environ.get(RUN)
        steps = record["live"][:-1] if run and run == record["run"] else record["live"]
        self.write(live=[*(step for step in steps if step != versions), versions], run=run, **changes)

    def rolled_back(self, versions: Versions, live: Versions | None = None, **changes: object) -> None:
        """Record a rollback from `versions` to `live`. No rollback returns to `versions` until their next deployment.

        `live` are the versions that the rollback made live. `changes` are further changes of the ledger.
        """
        refused = versions.items() - (live or {}).items()
        others = [step for step in self.read()["live"] if step not in (versions, live)]
        history = [step for step in others if not refused or not refused <= step.items()]
        self.write(live=[*history, live] if live else history, run=None, **changes)

    def before(self, versions: Versions) -> Versions | None:
        """Return the entry of the list `live` before `versions`, {model: version}; None without such an entry."""
        return next((step for step in reversed(self.read()["live"]) if step and step != versions), None)

    def before_of(self, name: str, number: int | None) -> int | None:
        """Return the latest live version of a model other than `number`; None without such a version."""
        return next((earlier for earlier in self.last_of(name) if earlier != number), None)

    def last_of(self, name: str, count: int | None = None) -> list[int]:
        """Return the last `count` versions of a model that were live, the latest first; without `count`, return all."""
        newest_first = dict.fromkeys(step[name] for step in reversed(self.read()["live"]) if name in step)
        return list(newest_first)[:count]

    def _sound(self) -> dict | None:
        """Return the content of the file; None if the file is missing or is no valid ledger."""
        return read_record(self.file, _SHAPE)
