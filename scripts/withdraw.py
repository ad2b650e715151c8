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
    removed = [name for deployment in deployments(arguments) for name in remove(deployment)]
    refresh_pages(arguments.results)
    for name in removed:
        progress(f"removed {name}")
    if not removed:
        names = ", ".join(folder.name for folder in arguments.results)
        progress(f"nothing of {names} is deployed to {arguments.to} from this checkout")


def withdraw(deployment: Deployment) -> list[str]:
    """Withdraw models from the server; return the names of the live ones. Without a model left, the server stops."""
    release, live, platform = deployment.history.without(), deployment.history.serving(), deployment.live_platform()
    others = {name: number for name, number in live.items() if name not in release.withdrawn}
    if platform is None or not release.withdrawn:
        return []
    if not others:
        return [*release.withdrawn, *undeploy(deployment)]
    deploy(platform, release, deployment.history, lambda _: {}, keep=1)
    progress(f"  {in_words(others)}: live as before")
    return list(release.withdrawn)


if __name__ == "__main__":
    run(main, parse_arguments())
