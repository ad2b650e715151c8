"""The common operations of platforms that run Triton's container image from manifests: clusters and Compose."""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.deploy.local.compatibility import Host, find_runtime, require_runtime
from slipway.deploy.release import RECORD, Part, Release
from slipway.deploy.release_history import DeploymentState, ReleaseHistory
from slipway.deploy.release_store import ReleaseStore
from slipway.keys.version_lock import served_tensorrt
from slipway.manifests.deployment_facts import Artifact, refuse_rehearsal
from slipway.triton.client.connection import Deadline
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports

# The host of engines in a container: Triton's own backends, and an environment that cannot be read from this machine.
ELSEWHERE = Host(native_backends=True, environment={})
# Deadline for a target's answer to the reference request, which may come through a tunnel.
TUNNEL_DEADLINE_S = 10.0


class ContainerPlatform:
    """Base of the platforms on which a rollout replaces all existing objects, even those of a killed deployment.

    A subclass has the other operations of `Platform`.
    """

    reach: Callable[[Release], AbstractContextManager[dict[str, Ports]]]

    @classmethod
    def store(cls, to: str, results: Path, options: argparse.Namespace) -> ReleaseStore:
        """Return the store with the deployed releases of a model.

        `results` is its folder results/<model>, `to` the platform.
        """
        return ReleaseStore(results, to)

    def settle(self, history: ReleaseHistory) -> DeploymentState:
        """Return the recorded state of earlier deployments, without any change of the platform.

        An interrupted rollout is neither finished nor undone, because the new rollout replaces all objects.
        """
        history.restore_ledger()
        return history.state()

    def refresh(self, history: ReleaseHistory, may_change: bool = False) -> bool:
        """Do nothing and return False. The other platforms make the release history agree with the server here.

        This is not necessary, since the next deployment or rollback replaces all objects.
        """
        return False

    def verify_runtime(self, part: Part, server_version: str | None = None) -> dict:
        """Check that the runtime in the container image can run a part's engine. A part is one model on one target.

        Returns {"runtime": whether the version is known, "runtime_version", "source": where the version was found}.
        `server_version` is the version that the running server stated; None before its start. Raises SlipwayError if
        the runtime cannot run the engine.
        """
        key = part.index_content["engine_key"]
        serving = find_runtime(key["runtime"], ELSEWHERE, server_version)
        if server_version is None and key["runtime"] == "tensorrt":
            serving = served_tensorrt({"release": part.values["triton_release"], "image": part.values["image"]})
        require_runtime(part.name, key, ELSEWHERE, serving)
        return serving.record()

    def affected(self, release: Release, snapshot: dict) -> Release:
        """Return the release unchanged: its rollout restarts no other model, since no two models share a pod."""
        return release

    def switch(self, release: Release, snapshot: dict) -> bool:
        """Do nothing and return False: since `start` replaced the earlier release, clients reach the new release."""
        return False

    def diagnose(self, receipt: dict, history: ReleaseHistory) -> str | None:
        """Return why a deployed model does not answer its reference request correctly, as text; None if all targets do.

        The reference request and its outputs are stored with the release. `receipt` is the record of the model's
        deployment.
        """
        if (release := history.find(receipt)) is None:
            return "its version, with the reference request, is not kept here"
        try:
            with self.reach(release) as reached:
                for part in release.parts:
                    with ModelClient(reached[part.target], part.name, Deadline(TUNNEL_DEADLINE_S)) as client:
                        client.require_ready()
                        why = part.expected.why_wrong(client.infer(part.expected.request).outputs)
                    if why:
                        return f"on {part.target}, {why}"
        except (SlipwayError, OSError) as error:
            return str(error)
        return None


def require_deployable(release: Release) -> None:
    """Raise SlipwayError if the files of a release do not belong together, or if its weights are random.

    Each manifest must have the SHA-256 in manifests.json. The index of each repository must have the SHA-256 for which
    the manifests were made.
    """
    for path in release.files:
        if sha256(path) != release.record["files"][path.name]:
            raise SlipwayError(
                f"{path} is not what {RECORD} says: edited or truncated. Remove it and run snakemake again. Nothing "
                "was changed."
            )
    for part in release.parts:
        index = Artifact(part.index.as_posix(), part.index_sha256, part.index_content)
        refuse_rehearsal(release.model, index, "nothing was changed")
        if part.index_sha256 != part.values["index_sha256"]:
            raise SlipwayError(
                f"{release.files[0]} was made for another {part.index} than the one that lies here; run snakemake "
                "again. Nothing was changed."
            )
