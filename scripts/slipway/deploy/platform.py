"""The interface of a deployment platform, and this checkout's record of the state there."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipway.core.errors import SlipwayError
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import Release
from slipway.triton.server.tritonserver import Ports


@dataclass(frozen=True)
class DeploymentState:
    """The state of a platform, as this checkout recorded it.

    `receipt`: the receipt of the live release. `live`: that release, if its stored copy is unchanged.
    `baseline`: the snapshot before an interrupted rollout (rollback target). `attempted`: its unverified release.
    """

    receipt: dict | None = None
    live: Release | None = None
    baseline: dict | None = None
    attempted: Release | None = None


class Platform(Protocol):
    """A platform to deploy to. Each method raises SlipwayError with the problem there and the remedy."""

    @classmethod
    def at(cls, place: dict, folder: Path, ready_timeout_s: float) -> "Platform":
        """Return the platform at a place, as in `platform_at`."""

    def lock(self) -> AbstractContextManager[None]:
        """Lock out a second deployment of the model while the block runs."""

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Return the results of the checks; raise SlipwayError if the rollout would fail. Nothing is changed."""

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the current state as JSON, for `rollback`. It is stored until the transaction has ended."""

    def start(self, release: Release, snapshot: dict) -> None:
        """Start the release, or begin to start it."""

    def wait(self, release: Release) -> None:
        """Wait until the release is ready on every target; raise SlipwayError if it cannot become ready."""

    def reach(self, release: Release) -> AbstractContextManager[dict[str, Ports]]:
        """Yield {target: ports of its new server, as reached from this machine}."""

    def finish(self, release: Release, snapshot: dict) -> None:
        """Remove the parts that only the previous version needed. The release is proven by now."""

    def rollback(self, release: Release, snapshot: dict) -> str:
        """Restore the snapshot; return a sentence that says which version serves now."""

    def place(self) -> dict:
        """Return the platform's location, for receipts."""

    def contents(self, release: Release) -> dict:
        """Return the entries of a receipt that `remove` and `describe` need."""

    def remove(self, contents: dict) -> list[str]:
        """Remove the objects in a receipt's contents; return the names of the objects that existed."""

    def describe(self, contents: dict) -> list[str]:
        """Return lines with the platform's report on the objects in a receipt's contents."""


OPERATIONS = tuple(name for name in vars(Platform) if not name.startswith("_"))


def platform_at(to: str, place: dict, folder: Path, ready_timeout_s: float = 120) -> Platform:
    """Return the platform at a place; no request is sent yet.

    `place` is {"app", "namespace", "context"}, as in receipts: the model's name there, the namespace, and the context
    of the kubeconfig (by default its current one). `folder` has the stored releases on this machine.
    """
    traits = PLATFORMS[to]
    kind = traits.load(traits.deployment)
    missing = [operation for operation in OPERATIONS if not hasattr(kind, operation)]
    if missing:
        raise SlipwayError(f"{traits.deployment} has no `{'` and no `'.join(missing)}`, which every platform must have")
    return kind.at(place, folder, ready_timeout_s)
