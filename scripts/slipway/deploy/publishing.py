"""Publish a release's model repositories to storage that the cluster reads, before the release is deployed.

If no storage is configured, only print the path where the user must publish.
"""

from pathlib import Path

from slipway.core.cli import progress
from slipway.core.errors import amended
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import HERE, Part, Release
from slipway.deploy.release_store import versions_in_use
from slipway.triton.repository.versions import read_index


def publish(
    release: Release,
    results: Path,
    to: str | None = None,
    keep: int = 3,
    signed: bool = False,
    public_key: Path | None = None,
) -> dict[str, dict]:
    """Copy the model repositories of a release to `to`, a folder or storage that the cluster reads.

    If `to` is None, copy nothing and print where the repositories must be. `results` is the folder results/<model>.
    `keep` is the number of versions to keep in `to`. With `signed`, the signature is published too. With `public_key`,
    each repository needs a signature that this key verifies.

    Returns {target: record}. A record's "published" says whether Slipway copied the repository; if not, "why" has the
    reason, else "signed" and the entries of `repository.publishing.publish` follow. Raises SlipwayError if a repository
    is incomplete, if its signature is not valid, or if its copy fails.
    """
    for part in release.parts:
        with amended(after=". Nothing was changed."):
            read_index(part.repository.parent, part.index)
            part.require_signed(public_key)
    if PLATFORMS[release.to].on_this_machine:
        return {part.target: {"published": False, "why": HERE} for part in release.parts}
    if to is None:
        return {part.target: _not_by_slipway(part) for part in release.parts}
    return {part.target: _published(release.model, part, results, to, keep, signed) for part in release.parts}


def _published(model: str, part: Part, results: Path, to: str, keep: int, signed: bool) -> dict:
    from slipway.triton.repository import publishing  # this import takes long

    destination = publishing.destination_of(to, part.values["claim_path"], model, part.target)
    protected, signature = versions_in_use(results, part.target), part.signature if signed else None
    folder = part.repository.parent
    published = publishing.publish(folder, part.index, destination, keep, protected, signature=signature)
    done = "published to" if published["copied"] else "is in"
    progress(f"  {model}: {published['version']} {done} {published['destination']}")
    return {"published": True, "signed": signed, **published}


def _not_by_slipway(part: Part) -> dict:
    where = f"{part.values['repository_path']} in the claim {part.values['claim']}"
    progress(f"  {part.target}: `deploy.publish.to` is not set, so the repository must already be at {where}")
    return {"published": False, "why": f"not published by Slipway; it must be at {where}"}
