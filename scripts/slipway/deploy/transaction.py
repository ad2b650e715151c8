"""A deployment as one transaction on every platform: preflight, publish, start, verify, switch, record.

Either the new release is live and proven, or the previous release goes on serving. A killed deployment leaves a record
of its release and of the previous state. The next deployment continues from this record. A rollback is the deployment
of an older release.
"""

from collections.abc import Callable

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError, amended
from slipway.deploy.ledger import DEPLOYMENT
from slipway.deploy.platform import Platform
from slipway.deploy.release import Release
from slipway.deploy.release_history import DeploymentState, ReleaseHistory
from slipway.deploy.verification import prove, receipts_of

# A function that publishes a release's repositories, and returns {target: record of the publication}.
Publish = Callable[[Release], dict]


def deploy(
    platform: Platform, release: Release, history: ReleaseHistory, publish: Publish, keep: int, action: str = DEPLOYMENT
) -> dict[str, dict]:
    """Replace the live release by `release`, prove the new release, and return {model: receipt}.

    A receipt is the record of a model's deployment, as `verification.receipts_of` returns. `publish` copies the
    release's repositories for the platform and returns {target: record}, as `publishing.publish`. `keep` is the number
    of versions to store for rollbacks, including the new version. `action` is "deployment" or "rollback". Raises
    SlipwayError with the failed step and the version that serves now.
    """
    with platform.lock():
        state = platform.settle(history)
        checked = preflight(platform, release, state)
        published = publish(release)
        snapshot = platform.snapshot(release, state)
        stored = history.store.keep(release)
        release = platform.affected(stored, snapshot)
        history.begin(release, snapshot, action, chosen=stored.versions)
        proofs = replace(platform, release, snapshot, history, under_load=action == DEPLOYMENT)
        with amended(
            before=f"{release.model} is live on {release.to} and proven, but objects of the previous version could not "
            "be removed: ",
            after="\nThe receipt is not written yet. Run snakemake again: it removes them, and writes the receipt.",
        ):
            platform.finish(release, snapshot)
        receipts = receipts_of(platform, release, proofs, published=published, preflight=checked)
        history.record(receipts)
        history.prune(release, keep)
        return receipts


def preflight(platform: Platform, release: Release, state: DeploymentState) -> dict:
    """Check, before anything is changed, that the platform can serve a release.

    Returns {"versions", "place"} for the receipts: "versions" is {target: the result of `Platform.verify_runtime`}, and
    "place" is the result of `Platform.preflight`. `state` is the recorded state of earlier deployments. Raises
    SlipwayError if a check fails.
    """
    what = f"checking {release.to} before the deployment" if release.parts else "undeploying"
    progress(f"  {release.model}: {what}")
    checked = platform.preflight(release, state)
    with amended(after=". Nothing was changed."):
        versions = {part.target: platform.verify_runtime(part) for part in release.parts}
    return {"versions": versions, "place": checked}


def replace(
    platform: Platform, release: Release, snapshot: dict, history: ReleaseHistory, under_load: bool
) -> list[dict]:
    """Start a release, switch clients to it, and return its proofs, as `verification.prove` returns them.

    `snapshot` is the platform's state before. With `under_load`, also check the latency under a short load. If a step
    fails, restore the state in `snapshot` and raise the error.
    """
    try:
        platform.start(release, snapshot)
        proofs = verify(platform, release, under_load)
        if platform.switch(release, snapshot):
            again = verify(platform, release, under_load=False)
            proofs = [proof | now for proof, now in zip(proofs, again, strict=True)]
        return proofs
    except BaseException as error:
        now = undo(platform, release, snapshot, history, error)
        if isinstance(error, SlipwayError):
            raise SlipwayError(f"{error}\n{now}") from None
        raise


def verify(platform: Platform, release: Release, under_load: bool) -> list[dict]:
    """Test the ready servers of a release, and return the proofs, as `verification.prove` returns them.

    With `under_load`, also check the latency under a short load. Return [] for a release without parts, which only
    withdraws models.
    """
    if not release.parts:
        return []
    targets = dict.fromkeys(part.target for part in release.parts)
    progress(f"  {release.model}: ready; proving it on {', '.join(targets)}")
    with platform.reach(release) as reached:
        return prove(platform, release, reached, under_load)


def undo(platform: Platform, release: Release, snapshot: dict, history: ReleaseHistory, error: BaseException) -> str:
    """Restore the previous version after `error`, and return a sentence on the version that serves now.

    `snapshot` is the platform's state before the deployment. Raises SlipwayError if the restoration fails, too.
    """
    progress(f"  {release.model}: failed; restoring the previous version")
    try:
        now = platform.restore(release, snapshot)
    except SlipwayError as restore_error:
        raise SlipwayError(
            f"{str(error) or type(error).__name__}\nRestoring the previous version failed, too: {restore_error}\nIt is "
            "unknown which version serves now; `snakemake --cores 1 status` shows it. The next deployment continues "
            "from here, and knows the previous version."
        ) from error
    history.restored()
    return now
