"""What must hold of a candidate wherever it is deployed, looked at before anything there is changed."""

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.deploy.local.compatibility import Found, Host, find_runtime, require_runtime
from slipway.deploy.release import RECORD, Part, Release
from slipway.keys.version_lock import served_tensorrt
from slipway.manifests.deployment_facts import Artifact, refuse_rehearsal
from slipway.triton.repository.versions import read_index

UNCHANGED = "Nothing was changed."
# Triton's own backends, of a server whose environment nobody here sees.
ELSEWHERE = Host(native_backends=True, environment={})


def require_deployable(candidate: Release) -> None:
    """Raise SlipwayError unless manifests, repositories and indexes belong together and may leave this machine."""
    for path in candidate.files:
        if sha256(path) != candidate.record["files"][path.name]:
            raise SlipwayError(
                f"{path} is not what {RECORD} says: edited or truncated. Remove it and run snakemake again. {UNCHANGED}"
            )
    for part in candidate.parts:
        index = Artifact(part.index.as_posix(), part.index_sha256, part.said)
        refuse_rehearsal(candidate.model, index, "nothing was changed")
        if part.index_sha256 != part.values["index_sha256"]:
            raise SlipwayError(
                f"{candidate.files[0]} was made for another {part.index} than the one that lies here; run snakemake "
                f"again. {UNCHANGED}"
            )


def require_whole(part: Part) -> None:
    """Raise SlipwayError when a repository is not the one of its index."""
    try:
        read_index(part.repository.parent, part.index)
    except SlipwayError as error:
        raise SlipwayError(f"{error}. {UNCHANGED}") from None


def require_release(part: Part) -> dict:
    """Return what is known of the runtime in the image that will serve, as `verified` does.

    Raises SlipwayError when it is known to be another than the engine was built for.
    """
    key = part.said["engine_key"]
    found = find_runtime(key["runtime"], ELSEWHERE)
    if key["runtime"] == "tensorrt":
        served = served_tensorrt({"release": part.values["triton_release"], "image": part.values["image"]})
        found = Found(served.tensorrt, served.source)
    try:
        return _told(part, found)
    except SlipwayError as error:
        raise SlipwayError(f"{error}. {UNCHANGED}") from None


def verified(part: Part, server_version: str) -> dict:
    """Return the same, now that the server that runs states its version."""
    return _told(part, find_runtime(part.said["engine_key"]["runtime"], ELSEWHERE, server_version))


def _told(part: Part, found: Found) -> dict:
    require_runtime(part.said["name"], part.said["engine_key"], ELSEWHERE, found)
    known = found.version is not None
    return {"runtime": known, "runtime_version": found.version, "told_by": found.told_by}
