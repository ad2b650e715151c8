"""Serve the release again that was live before the present release, and prove this earlier release again."""

import argparse
from pathlib import Path

from slipway.core.cli import progress, run, unwind_when_terminated
from slipway.core.errors import SlipwayError, amended
from slipway.deploy.announcement import announce
from slipway.deploy.deployments import Deployment, add_rollout, deployment_parser, deployments
from slipway.deploy.ledger import ROLLBACK
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import Release
from slipway.deploy.release_history import INSTEAD
from slipway.deploy.report_pages import refresh_pages
from slipway.deploy.transaction import deploy
from slipway.triton.repository.versions import DEPLOYED_AGAIN


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = deployment_parser(__doc__, alone=True)
    add_rollout(arguments)
    arguments.add_argument("--configured", type=Path, nargs="*", help="results of all models of the configuration")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find and verify every model's earlier release before any model changes, then deploy these releases."""
    unwind_when_terminated()
    chosen = deployments(arguments)
    platforms = [(deployment.live_platform(), deployment.history) for deployment in chosen]
    # An interrupted rollout is settled first. If this undoes an interrupted deployment, the rollback is complete.
    taken_back = [platform.refresh(history, may_change=True) for platform, history in platforms if platform]
    if any(taken_back):
        refresh_pages(arguments.results)
        progress("  The previous version serves again. Another `rollback` goes back to the version before it")
        return
    live = [deployment for deployment in chosen if deployment.history.with_unconfigured().is_live()]
    if not live:
        raise SlipwayError(f"nothing is deployed to {arguments.to} from here; run `snakemake --cores 1 deploy` first")
    earlier = [(deployment, deployment.history.before(arguments.alone)) for deployment in live]
    with amended(after=f". {INSTEAD}"):
        published = [
            deployment.history.store.require_proven(release, arguments.public_key) for deployment, release in earlier
        ]
    for (deployment, release), record in zip(earlier, published, strict=True):
        configured = arguments.configured or arguments.results
        receipts = roll_back(deployment, release, record, arguments.keep_versions, configured)
        announce(receipts, arguments.snakemake_options)
    refresh_pages(arguments.results)
    progress(f"  {DEPLOYED_AGAIN}")


def roll_back(
    deployment: Deployment, release: Release, published: dict, keep: int, configured: list[Path]
) -> dict[str, dict]:
    """Deploy an earlier release again, print the change of each model's version, and return {model: receipt}.

    A receipt is the record that a deployment writes. `published` is the record of the earlier publication. `keep` is
    the number of versions to keep. `configured` are the results folders of all configured models: a note names the
    other models.
    """
    before, platform = deployment.history.serving(), deployment.live_platform()
    assert platform, "nothing is live"
    receipts = deploy(platform, release, deployment.history, lambda _: published, keep, ROLLBACK)
    now = before | {receipt["served_as"]: receipt["number"] for receipt in receipts.values()}
    for name, number in now.items():
        if name in release.withdrawn:
            progress(f"  {name}: was not served before, so it was undeployed")
        elif name not in before:
            progress(f"  {name}: version {number}, which had been undeployed, is live again")
        else:
            progress(f"  {name}: version {before[name]} " + ("as before" if number == before[name] else f"-> {number}"))
    after = "undeploys it again" if PLATFORMS[deployment.to].together else "leaves it as it is"
    for model in receipts.keys() - {folder.name for folder in configured}:
        progress(f"  {model} is not in this configuration; the next deployment {after}")
    return receipts


if __name__ == "__main__":
    run(main, parse_arguments())
