"""The interface of a deployment platform, such as a Kubernetes cluster or the Triton server of this machine.

The words of the methods: a release has one part for each target (a kind of GPU or CPU) of each of its models; a receipt
is the record that a model's deployment leaves; the snapshot is the platform's state before the deployment.
"""

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
    """A platform to deploy to. A method that fails raises SlipwayError with the problem and the remedy.

    A deployment calls `lock`, `settle`, `preflight`, `verify_runtime`, `snapshot`, `affected`, `start`, `reach`,
    `switch` and `finish`, in this order; `restore` after a failure.
    """

    @classmethod
    def store(cls, to: str, results: Path, options: argparse.Namespace) -> VersionStore:
        """Return the store of the releases that were deployed to the platform `to`.

        `results` is the folder results/<model> of the release's first model. `options` are the program's options.
        """

    @classmethod
    def at(cls, receipt: dict, folder: Path, options: argparse.Namespace) -> "Platform":
        """Return the platform to which a model was deployed. No request is sent yet.

        `receipt` is the record of the deployment. Its "place" identifies the platform, for example by the context of
        the kubeconfig, the namespace, and the model's name in the namespace. `options` are the program's options, for
        the settings that a receipt lacks. `folder` has the stored releases on this machine.
        """

    def lock(self) -> AbstractContextManager[None]:
        """Context manager: lock out a second deployment of the model while the block runs.

        Raises SlipwayError if another deployment has the lock.
        """

    def settle(self, history: ReleaseHistory) -> DeploymentState:
        """Return the recorded state of earlier deployments, before a new deployment changes anything.

        If the platform requires this, first finish or undo a deployment that was interrupted.
        """

    def refresh(self, history: ReleaseHistory, may_change: bool = False) -> bool:
        """Make the release history agree with the platform, for a command other than a deployment, such as `status`.

        Return True if an interrupted deployment was undone. If `may_change` is false, the platform is not changed: a
        deployment that should be undone is only reported.
        """

    def verify_runtime(self, part: Part, server_version: str | None = None) -> dict:
        """Check that the platform's runtime (such as TensorRT) can run the engine of a part, one model on one target.

        Returns {"runtime", "runtime_version", "source"}: "runtime" is False if the version is not known, and "source"
        says in words where the version was found. `server_version` is the version that the running server states; None
        before its start. Raises SlipwayError if the runtime cannot run the engine.
        """

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Check, without any change, that the rollout of a release can succeed.

        Return {"verified": sentences on the successful checks, and further facts for the receipt}. `state` is the
        recorded state of earlier deployments. Raises SlipwayError if the rollout would fail.
        """

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the current state of the platform as JSON data; after a failure, `restore` brings this state back.

        The snapshot is stored until the deployment has ended, so that it survives a kill. `state` is the recorded state
        of earlier deployments.
        """

    def affected(self, release: Release, snapshot: dict) -> Release:
        """Return the release, extended by the other live models that the rollout restarts.

        They are to be proven again, too.
        """

    def start(self, release: Release, snapshot: dict) -> None:
        """Start the release, and wait until every target is ready; raise SlipwayError if the start fails.

        `snapshot` is the state of the platform before the start.
        """

    def reach(self, release: Release) -> AbstractContextManager[dict[str, Ports]]:
        """Context manager: yield {target: ports}, by which this machine reaches the new server of each target."""

    def switch(self, release: Release, snapshot: dict) -> bool:
        """Direct clients to the new release, which was tested at `reach`.

        Return True if the server that clients reach now is not the tested server, so that the test has to be repeated.
        """

    def finish(self, release: Release, snapshot: dict) -> None:
        """Remove the objects that only the previous version needed, after the new release is live and proven.

        `snapshot` is the state of the platform before the deployment.
        """

    def restore(self, release: Release, snapshot: dict) -> str:
        """Bring back the state in `snapshot` after a failed deployment of `release`.

        Return a sentence on the version that serves now.
        """

    def place(self) -> dict:
        """Return the entry "place" of receipts, by which `at` finds this platform again, such as {"machine": name}."""

    def contents(self, release: Release) -> dict:
        """Return the entry "contents" of a release's receipts: names of its objects, for `remove` and `describe`."""

    def remove(self, contents: list[dict]) -> list[str]:
        """Take releases out of service: remove their objects, and return the names of the objects that existed.

        `contents` are the entries "contents" of the releases' receipts.
        """

    def diagnose(self, receipt: dict, history: ReleaseHistory) -> str | None:
        """Return why a deployed model does not answer its stored reference request correctly; None if it does.

        `receipt` is the record of its deployment, and `history` has the stored reference request.
        """

    def describe(self, receipt: dict) -> list[str]:
        """Return lines of text on the present state of a deployed model's objects.

        `receipt` is its deployment record.
        """


OPERATIONS = tuple(name for name in vars(Platform) if not name.startswith("_"))


def kind_of(to: str) -> type[Platform]:
    """Return the implementation of `Platform` for the platform `to`, such as Kubernetes for "kubernetes".

    Raises SlipwayError with all missing methods if it lacks any.
    """
    traits = PLATFORMS[to]
    kind = traits.load(traits.deployment)
    missing = [operation for operation in OPERATIONS if not hasattr(kind, operation)]
    if missing:
        raise SlipwayError(f"{traits.deployment} has no `{'` and no `'.join(missing)}`, which every platform must have")
    return kind
