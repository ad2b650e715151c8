"""The ledger of a release history: the stored versions, the live versions, and the rollout that is under way.

A rollout is a deployment or a rollback. Each write replaces the whole file, so its parts always belong together. A
model is named as on the server. A version is the number of a stored release:

live       [{model: version}, ...]             the versions that were live together, the oldest first
run        id or null                          the run of Snakemake that made the last entry of `live` live
stored     {model: {version: {file: SHA-256}}} every file of each stored version; other versions do not exist
last       {model: version}                    the highest version number of a model so far
rollout    {...} or null                       the rollout that is under way, the fields of `Rollout`
receipts   {file: receipt}                     the deployment records of the live models; {} after `undeploy`
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
    """The record of a deployment or rollback under way: the live versions change from `before` to `versions`.

    `action` is "deployment" or "rollback". `receipts` are the deployment records to write at the end, {file: {"model":
    name in config.yaml, "served_as": name on the server, "targets": list, "more": further entries}}. `withdrawn` are
    the paths of the receipts to remove, of models that are not served any more. `snapshot` is the platform's state
    before the change, as `Platform.snapshot` returns it.
    """

    action: str
    versions: Versions
    before: Versions
    receipts: dict[str, dict]
    withdrawn: list[str]
    snapshot: dict = field(default_factory=dict)

    @property
    def proven(self) -> Versions:
        """Return {model: version} of the models that are tested before the rollout ends.

        The other models in `versions` stay live unchanged, so they need no test.
        """
        names = {entry["served_as"] for entry in self.receipts.values()}
        return {name: number for name, number in self.versions.items() if name in names}

    def __str__(self) -> str:
        return f"the {self.action} of {in_words(self.proven or self.versions)}"


def in_words(versions: Versions) -> str:
    """Return versions as text, such as "resnet50 version 3"; "nothing" if there are no versions."""
    return ", ".join(f"{name} version {number}" for name, number in versions.items()) or "nothing"


class Ledger:
    """The file that records a platform's stored and live versions; the module's docstring lists its parts.

    Each method reads the file from disk. The list `live` in the file has no duplicates, and its last entry is the
    latest.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> dict:
        """Return the ledger's content: {part: content}, with the parts that the module's docstring lists.

        If the file is missing or damaged, all parts are empty.
        """
        return self._sound() or dict(_EMPTY)

    def write(self, **changes: object) -> None:
        """Write the ledger to disk with some parts replaced, given as keyword arguments, such as rollout=None."""
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
        """Write each receipt, a model's deployment record, again from its copy in the ledger.

        Only files that are missing, damaged, or different from the copy are written.
        """
        for file, content in self.read()["receipts"].items():
            if read_record(file, object) != content:
                write_json(file, content)
                progress(f"  {file} was not the receipt of the live version; it was written again")

    def facts_of(self, receipts: Iterable[dict]) -> dict[str, dict]:
        """Return the parts {"published", "models"} of the ledger, extended by the entries of these receipts.

        A receipt is the record of a model's deployment.
        """
        recorded = self.read()
        published, models = dict(recorded["published"]), dict(recorded["models"])
        for receipt in receipts:
            name = receipt["served_as"]
            published[name] = published.get(name, {}) | {str(receipt["number"]): receipt["published"]}
            models[name] = {"model": receipt["model"], "targets": list(receipt["targets"])}
        return {"published": published, "models": models}

    def live(self) -> Versions:
        """Return {model: version} of the versions that were live together last; {} if no version was ever live."""
        return (self.read()["live"] or [{}])[-1]

    def went_live(self, versions: Versions, **changes: object) -> None:
        """Record that `versions`, {model: version}, are proven and live.

        `changes` are further parts of the ledger to replace. The deployments of one run of Snakemake count as one step:
        a rollback goes back to the versions before the whole run.
        """
        record, run = self.read(), os.environ.get(RUN)
        steps = record["live"][:-1] if run and run == record["run"] else record["live"]
        self.write(live=[*(step for step in steps if step != versions), versions], run=run, **changes)

    def rolled_back(self, versions: Versions, live: Versions | None = None, **changes: object) -> None:
        """Record a rollback from `versions` to `live`, both {model: version}; None means that nothing is live now.

        No later rollback returns to `versions` until they are deployed again. `changes` are further parts of the ledger
        to replace.
        """
        refused = versions.items() - (live or {}).items()
        others = [step for step in self.read()["live"] if step not in (versions, live)]
        history = [step for step in others if not refused or not refused <= step.items()]
        self.write(live=[*history, live] if live else history, run=None, **changes)

    def before(self, versions: Versions) -> Versions | None:
        """Return the versions to which a rollback from `versions` goes back, {model: version}; None if there are none.

        They are the latest entry of the list `live` that differs from `versions`.
        """
        return next((step for step in reversed(self.read()["live"]) if step and step != versions), None)

    def before_of(self, name: str, number: int | None) -> int | None:
        """Return the version of a model to which a rollback from the version `number` goes back; None if there is none.

        It is the version that was live last, apart from `number`. If `number` is None, it is the last live version.
        """
        return next((earlier for earlier in self.last_of(name) if earlier != number), None)

    def last_of(self, name: str, count: int | None = None) -> list[int]:
        """Return the versions of a model that were live, the latest first; at most `count` versions, None for all."""
        newest_first = dict.fromkeys(step[name] for step in reversed(self.read()["live"]) if name in step)
        return list(newest_first)[:count]

    def _sound(self) -> dict | None:
        return read_record(self.file, _SHAPE)
