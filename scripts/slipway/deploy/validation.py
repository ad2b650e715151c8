"""Validation of a release before its deployment to any platform, before anything is changed."""

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError, amended
from slipway.deploy.release import RECORD, Part, Release
from slipway.manifests.deployment_facts import Artifact, refuse_rehearsal
from slipway.triton.repository.versions import read_index

UNCHANGED = "Nothing was changed."


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
