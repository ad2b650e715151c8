"""The interface of a deployment platform."""

import argparse
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from slipway.core.errors import SlipwayError
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import Part, Release
from slipway.deploy.release_history import DeploymentState, ReleaseHistory
from slipway.deploy.version_store import VersionStore
from slipway.triton.client.ports import Ports


class Platform(Protocol):
    """A platform to deploy to. A method that fails raises SlipwayError with the problem and the remedy."""

    @classmethod
    def store(cls, to: str, results: Path, options: argparse.Namespace) -> VersionStore:
        """Return the store of this platform's releases; `results` is the folder of the release's first model."""

    @classmethod
    def at(cls, receipt: dict, folder: Path, options: argparse.Namespace) -> "Platform":
        """Return the platform of a receipt's release. No request is sent yet.

        The receipt's "place" identifies the platform, for example by the context of the kubeconfig, the namespace, and
        the model's name in the namespace. `options` are the program's options, for the settings that a receipt lacks.
        `folder` has the stored releases on this machine.
        """

    def lock(self) -> AbstractContextManager[None]:
        """Lock out a second deployment of the model while the block runs.

        Raises SlipwayError if another deployment has the lock.
        """

    def settle(self, history: ReleaseHistory) -> DeploymentState:
        """Return the recorded state. If the platform requires this, first finish or undo an interrupted rollout."""

    def refresh(self, history: ReleaseHistory, may_change: bool = False) -> bool:
        """Make the release history agree with the platform; return True if an interrupted deployment was undone.

        Without `may_change` the platform is not changed, so an interrupted rollout is only reported.
        """

    def verify_runtime(self, part: Part, server_version: str | None = None) -> dict:
        """Return {"runtime", "runtime_version", "source"} of the runtime that will run a part's engine.

        "runtime" is False if the version is not known. "source" says where the version was found. `server_version` is
        the version that the running server states. Raises SlipwayError if the runtime cannot run the engine.
        """

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Return {"verified": sentences on what was checked, and further facts for the receipt}. Change nothing.

        Raises SlipwayError if the rollout would fail.
        """

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the current state of the platform as JSON data, for `restore`.

        The snapshot is stored until the transaction has ended.
        """

    def affected(self, release: Release, snapshot: dict) -> Release:
        """Return the stored release together with the other live models that the rollout restarts."""

    def start(self, release: Release, snapshot: dict) -> None:
        """Start the release, and wait until every target is ready; raise SlipwayError if the start fails."""

    def reach(self, release: Release) -> AbstractContextManager[dict[str, Ports]]:
        """Yield {target: ports}, by which this machine reaches the new server of each target while the block runs."""

    def switch(self, release: Release, snapshot: dict) -> bool:
        """Direct clients to the proven release. Return True if the server that now serves it was not proven yet."""

    def finish(self, release: Release, snapshot: dict) -> None:
        """Remove the objects that only the previous version needed. The new release is already live and proven."""

    def restore(self, release: Release, snapshot: dict) -> str:
        """Restore the snapshot after a failed deployment; return a sentence on the version that serves now."""

    def place(self) -> dict:
        """Return the entry "place" of receipts, which identifies this platform, such as {"machine": its name}."""

    def contents(self, release: Release) -> dict:
        """Return the "contents" of a receipt: the entries that `remove` and `describe` need."""

    def remove(self, contents: list[dict]) -> list[str]:
        """Remove the objects in the contents of receipts; return the names of the objects that existed."""

    def diagnose(self, receipt: dict, history: ReleaseHistory) -> str | None:
        """Return why the release of a receipt does not answer with the reference outputs; None if it does."""

    def describe(self, receipt: dict) -> list[str]:
        """Return lines with the platform's report on the objects in a receipt's contents."""


OPERATIONS = tuple(name for name in vars(Platform) if not name.startswith("_"))


def kind_of(to: str) -> type[Platform]:
    """Return the class of a platform; raise SlipwayError with all missing operations if the class lacks any."""
    traits = PLATFORMS[to]
    kind = traits.load(traits.deployment)
    missing = [operation for operation in OPERATIONS if not hasattr(kind, operation)]
    if missing:
        raise SlipwayError(f"{traits.deployment} has no `{'` and no `'.join(missing)}`, which every platform must have")
    return kind
