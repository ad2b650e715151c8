"""Serve the release that was live before the live one again, and prove it again."""

import argparse

from slipway.core.cli import progress, run, unwind_when_terminated
from slipway.core.errors import SlipwayError, amended
from slipway.deploy.deployments import Deployment, add_rollout, deployment_parser, deployments
from slipway.deploy.release import Release
from slipway.deploy.release_history import INSTEAD, ROLLBACK
from slipway.deploy.transaction import deploy
from slipway.deploy.verification import announce
from slipway.triton.repository.versions import DEPLOYED_AGAIN


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = deployment_parser(__doc__)
    add_rollout(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find and verify every model's earlier release before any of them changes, then deploy them."""
    unwind_when_terminated()
    found = deployments(arguments)
    platforms = [(each.live_platform(), each.history) for each in found]
    # An interrupted rollout is settled first. Only one that was a deployment counts as taken back.
    taken_back = [platform.refresh(history, may_change=True) for platform, history in platforms if platform]
    if any(taken_back):
        progress("  So this is what was live before; once more, and `rollback` goes back one further")
        return
    live = [deployment for deployment in found if deployment.history.is_live()]
    if not live:
        raise SlipwayError(f"nothing is deployed to {arguments.to} from here; run `snakemake --cores 1 deploy` first")
    earlier = [(each, each.history.before()) for each in live]
    with amended(after=f". {INSTEAD}"):
        proven = [(*each, each[0].history.store.require_proven(each[1], arguments.public_key)) for each in earlier]
    for each in proven:
        announce(roll_back(*each, arguments.keep_versions), arguments.snakemake_options)
    progress(f"  {DEPLOYED_AGAIN}")


def roll_back(found: Deployment, release: Release, published: dict, keep: int) -> dict[str, dict]:
    """Deploy an older release again, print what changed for each model, and return their receipts."""
    before = {model: receipt["number"] for model, receipt in found.history.live().items()}
    receipts = deploy(found.live_platform(), release, found.history, lambda _: published, keep, ROLLBACK)
    for model, number in before.items():
        if model not in receipts:
            progress(f"  {model}: was not served before, so it is no longer")
        else:
            now = receipts[model]["number"]
            progress(f"  {model}: version {number} " + ("as before" if now == number else f"-> {now}"))
    return receipts


if __name__ == "__main__":
    run(main, parse_arguments())
