"""A remote deployment as one transaction: the new release is live and proven, or the previous one goes on serving.

A killed deployment leaves a record of its release and of the previous state; the next deployment continues from it.
"""

from collections.abc import Callable

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.platform import DeploymentState, Platform
from slipway.deploy.release import Release
from slipway.deploy.release_history import ReleaseHistory, number_of
from slipway.deploy.validation import require_deployable, require_release
from slipway.deploy.verification import prove, receipt_of

# A function that publishes a release's repositories, and returns {target: record of the publication}.
Publish = Callable[[Release], dict]


def deploy(
    platform: Platform, release: Release, history: ReleaseHistory, publish: Publish, keep: int, **more: object
) -> dict:
    """Replace the live release, prove the new one, and return its receipt, with `more` in it.

    Raises SlipwayError with the failed step and the version that serves now.
    """
    with platform.lock():
        require_deployable(release)
        versions = {part.target: require_release(part) for part in release.parts}
        state = deployment_state(history)
        progress(f"  {release.model}: looking whether {release.to} takes it")
        checked = platform.preflight(release, state)
        published = publish(release)
        snapshot = platform.snapshot(release, state)
        release = history.keep(release)
        history.begin(release, snapshot)
        proofs = replace(platform, release, snapshot, history)
        finish(platform, release, snapshot)
        facts = {"place": platform.place(), "contents": platform.contents(release), "published": published}
        facts["preflight"] = {"versions": versions, "place": checked}
        receipt = receipt_of(release, number_of(release), proofs, **facts, **more)
        history.succeeded(release, receipt, keep)
        return receipt


def deployment_state(history: ReleaseHistory) -> DeploymentState:
    """Return the recorded state: live and attempted releases. Print a message if a deployment was killed."""
    receipt, begun = history.live(), history.begun()
    live = whole_version(history, receipt["number"]) if receipt else None
    attempted = history.version(begun["number"]) if begun else None
    if attempted:
        progress(f"  the deployment of version {begun['number']} was killed midway; going on from what it left")
    return DeploymentState(receipt, live, begun["before"] if attempted else None, attempted)


def whole_version(history: ReleaseHistory, number: int) -> Release | None:
    """Return a stored release; None, with a warning, if it changed since its deployment."""
    try:
        history.require_whole(number)
    except SlipwayError as error:
        progress(f"  WARNING: {error}; its state is read from the platform itself")
        return None
    return history.version(number)


def replace(platform: Platform, release: Release, snapshot: dict, history: ReleaseHistory) -> dict[str, dict]:
    """Start a release and return its proofs; if it fails, roll back to the previous state."""
    try:
        progress(f"  {release.model}: starting version {number_of(release)}")
        platform.start(release, snapshot)
        platform.wait(release)
        progress(f"  {release.model}: ready; proving it on {', '.join(part.target for part in release.parts)}")
        with platform.reach(release) as reached:
            return prove(release, reached)
    except BaseException as error:
        now = roll_back(platform, release, snapshot, history, error)
        if isinstance(error, SlipwayError):
            raise SlipwayError(f"{error}\n{now}") from None
        raise


def roll_back(
    platform: Platform, release: Release, snapshot: dict, history: ReleaseHistory, error: BaseException
) -> str:
    """Restore the snapshot, and return a sentence on the state now; raise SlipwayError with both errors if it fails."""
    progress(f"  {release.model}: it does not hold; going back")
    try:
        now = platform.rollback(release, snapshot)
    except SlipwayError as rollback_error:
        raise SlipwayError(
            f"{error}\nGoing back failed too: {rollback_error}\nIt is not known what serves there now; see "
            "`snakemake --cores 1 status`. The next deployment goes on from here and knows what was live before."
        ) from error
    history.restored()
    return now


def finish(platform: Platform, release: Release, snapshot: dict) -> None:
    """Remove the objects that only the previous version needed."""
    try:
        platform.finish(release, snapshot)
    except SlipwayError as error:
        raise SlipwayError(
            f"{release.model} is live on {release.to} and proven, but objects that only the version before needed are "
            f"still there: {error}\nRun snakemake again, which goes on there; no receipt was written yet."
        ) from None
