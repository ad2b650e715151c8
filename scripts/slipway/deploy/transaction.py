"""A remote deployment as one transaction: the new version is live and proven, or the previous one goes on serving.

A deployment that is killed leaves a record of its version and of the previous one; the next deployment goes on there.
"""

from collections.abc import Callable

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.platform import Known, Platform
from slipway.deploy.release import Release
from slipway.deploy.release_history import ReleaseHistory, number_of
from slipway.deploy.validation import require_deployable, require_release
from slipway.deploy.verification import prove, receipt_of

# A function that publishes a candidate's repositories, and returns their place for each target.
Publish = Callable[[Release], dict]


def deploy(
    platform: Platform, candidate: Release, kept: ReleaseHistory, publish: Publish, keep: int, **more: object
) -> dict:
    """Replace the live version by a candidate, prove it, and return its receipt, with `more` in it.

    Raises SlipwayError saying what failed and what serves now.
    """
    with platform.alone():
        require_deployable(candidate)
        versions = {part.target: require_release(part) for part in candidate.parts}
        known = what_is_known(kept)
        progress(f"  {candidate.model}: looking whether {candidate.to} takes it")
        checked = platform.preflight(candidate, known)
        published = publish(candidate)
        before = platform.previous(candidate, known)
        candidate = kept.keep(candidate)
        kept.begin(candidate, before)
        proofs = replace(platform, candidate, before, kept)
        finish(platform, candidate, before)
        facts = {"place": platform.place(), "contents": platform.contents(candidate), "published": published}
        facts["preflight"] = {"versions": versions, "place": checked}
        receipt = receipt_of(candidate, number_of(candidate), proofs, **facts, **more)
        kept.succeeded(candidate, receipt, keep)
        return receipt


def what_is_known(kept: ReleaseHistory) -> Known:
    """Return the known state of the place: live and attempted versions. Report a deployment that was killed."""
    live, left = kept.live(), kept.begun()
    good = whole_version(kept, live["number"]) if live else None
    attempted = kept.version(left["number"]) if left else None
    if attempted:
        progress(f"  the deployment of version {left['number']} was killed midway; going on from what it left")
    return Known(live, good, left["before"] if attempted else None, attempted)


def whole_version(kept: ReleaseHistory, number: int) -> Release | None:
    """Return a stored version; None, with a warning, if it changed since its deployment."""
    try:
        kept.require_whole(number)
    except SlipwayError as error:
        progress(f"  WARNING: {error}: what there is of it is asked of the place itself")
        return None
    return kept.version(number)


def replace(platform: Platform, candidate: Release, before: dict, kept: ReleaseHistory) -> dict[str, dict]:
    """Start a candidate and return its proofs; if it fails, go back to the version before."""
    try:
        progress(f"  {candidate.model}: starting version {number_of(candidate)}")
        platform.start(candidate, before)
        platform.wait(candidate)
        progress(f"  {candidate.model}: ready; proving it on {', '.join(part.target for part in candidate.parts)}")
        with platform.reach(candidate) as reached:
            return prove(candidate, reached)
    except BaseException as error:
        now = go_back(platform, candidate, before, kept, error)
        if isinstance(error, SlipwayError):
            raise SlipwayError(f"{error}\n{now}") from None
        raise


def go_back(platform: Platform, candidate: Release, before: dict, kept: ReleaseHistory, error: BaseException) -> str:
    """Restore the place, and return in words what serves there; if that fails, raise SlipwayError with both errors."""
    progress(f"  {candidate.model}: it does not hold; going back")
    try:
        now = platform.go_back(candidate, before)
    except SlipwayError as second:
        raise SlipwayError(
            f"{error}\nGoing back failed too: {second}\nWhat serves there now is not known; see `snakemake --cores 1 "
            "status`. The next deployment goes on from here and knows what was live before."
        ) from error
    kept.gone_back()
    return now


def finish(platform: Platform, candidate: Release, before: dict) -> None:
    """Remove the objects that only the version before needed."""
    try:
        platform.finish(candidate, before)
    except SlipwayError as error:
        raise SlipwayError(
            f"{candidate.model} is live on {candidate.to} and proven, but what only the version before needed is still "
            f"there: {error}\nRun snakemake again, which goes on there; no receipt was written yet."
        ) from None
