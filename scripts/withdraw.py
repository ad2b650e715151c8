"""Take models out of service, while the others of the same server serve on."""

import argparse

from slipway.core.cli import progress, run, unwind_when_terminated
from slipway.deploy.deployments import Deployment, deployment_parser, deployments
from slipway.deploy.ledger import in_words
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.report_pages import refresh_pages
from slipway.deploy.transaction import deploy
from undeploy import undeploy


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    return deployment_parser(__doc__).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Withdraw the models. On a platform with separate objects for each model, remove the objects."""
    unwind_when_terminated()
    remove = withdraw if PLATFORMS[arguments.to].together else undeploy
    removed = [name for found in deployments(arguments) for name in remove(found)]
    refresh_pages(arguments.results)
    for name in removed:
        progress(f"removed {name}")
    if not removed:
        names = ", ".join(folder.name for folder in arguments.results)
        progress(f"nothing of {names} is deployed to {arguments.to} from this checkout")


def withdraw(found: Deployment) -> list[str]:
    """Withdraw models from the server, and return the names of those that were live. The last ones stop it."""
    release, live = found.history.without(), found.history.serving()
    others = {name: number for name, number in live.items() if name not in release.withdrawn}
    if not release.withdrawn:
        return []
    if not others:
        return [*release.withdrawn, *undeploy(found)]
    deploy(found.live_platform(), release, found.history, lambda _: {}, keep=1)
    progress(f"  {in_words(others)}: live as before")
    return list(release.withdrawn)


if __name__ == "__main__":
    run(main, parse_arguments())
