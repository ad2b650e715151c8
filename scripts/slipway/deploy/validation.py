"""Validation of a release before its deployment to any platform, before anything is changed."""

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError, amended
from slipway.deploy.local.compatibility import Host, RuntimeVersion, find_runtime, require_runtime
from slipway.deploy.release import RECORD, Part, Release
from slipway.keys.version_lock import served_tensorrt
from slipway.manifests.deployment_facts import Artifact, refuse_rehearsal
from slipway.triton.repository.versions import read_index

UNCHANGED = "Nothing was changed."
# Triton's own backends in a server whose environment is not visible from this machine.
ELSEWHERE = Host(native_backends=True, environment={})


def require_deployable(release: Release) -> None:
    """Raise SlipwayError unless manifests, repositories and indexes belong together and may leave this machine."""
    for path in release.files:
        if sha256(path) != release.record["files"][path.name]:
            raise SlipwayError(
                f"{path} is not what {RECORD} says: edited or truncated. Remove it and run snakemake again. {UNCHANGED}"
            )
    for part in release.parts:
        index = Artifact(part.index.as_posix(), part.index_sha256, part.index_content)
        refuse_rehearsal(release.model, index, "nothing was changed")
        if part.index_sha256 != part.values["index_sha256"]:
            raise SlipwayError(
                f"{release.files[0]} was made for another {part.index} than the one that lies here; run snakemake "
                f"again. {UNCHANGED}"
            )


def require_whole(part: Part) -> None:
    """Raise SlipwayError if a repository does not match its index."""
    with amended(after=f". {UNCHANGED}"):
        read_index(part.repository.parent, part.index)


def verify_image(part: Part, server_version: str | None = None) -> dict:
    """Return {"runtime", "runtime_version", "told_by"} of the runtime in the image that serves.

    `runtime` is False if the version is not known; `server_version` is what the running server states. Raises
    SlipwayError if that runtime cannot run the engine.
    """
    key = part.index_content["engine_key"]
    serving = find_runtime(key["runtime"], ELSEWHERE, server_version)
    if server_version is None and key["runtime"] == "tensorrt":
        served = served_tensorrt({"release": part.values["triton_release"], "image": part.values["image"]})
        serving = RuntimeVersion(served.tensorrt, served.source)
    require_runtime(part.name, key, ELSEWHERE, serving)
    return serving.record()
