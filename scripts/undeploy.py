"""Take models out of service, and remove their receipts."""

import argparse

from slipway.core.cli import progress, run, unwind_when_terminated
from slipway.deploy.deployments import Deployment, deployment_parser, deployments
from slipway.deploy.ledger import in_words
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.report_pages import refresh_pages
from slipway.deploy.transaction import deploy


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    return deployment_parser(__doc__, alone=True).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Undeploy the models, and print the removed objects.

    On a platform that serves all models together, --alone keeps the other models live, and without it all are removed.
    On another platform, other models always stay live.
    """
    unwind_when_terminated()
    remove = withdraw if arguments.alone and PLATFORMS[arguments.to].together else undeploy
    removed = [name for deployment in deployments(arguments) for name in remove(deployment)]
    refresh_pages(arguments.results)
    for name in removed:
        progress(f"removed {name}")
    if not removed:
        models = f" of {', '.join(folder.name for folder in arguments.results)}" if arguments.alone else ""
        progress(f"nothing{models} is deployed to {arguments.to} from this checkout")


def undeploy(deployment: Deployment) -> list[str]:
    """Remove all objects of the live release and of an interrupted deployment; return the removed objects' names.

    If no object is left, such as after a crash of the server, return sentences about the records that are removed.
    """
    platform, attempted = deployment.live_platform(), deployment.history.attempted()
    if platform is None:
        return []
    with platform.lock():
        live = deployment.history.live()
        contents = [receipt["contents"] for receipt in live.values()]
        removed = platform.remove([*contents, *([platform.contents(attempted)] if attempted else [])])
        deployment.history.undeployed()
    return removed or [f"the record of {model}, which no server served any more" for model in live]


def withdraw(deployment: Deployment) -> list[str]:
    """Take the models off a server that serves all models together, and keep the others live. Return the models' names.

    If no model is left, the server stops, and the name of the server is returned, too.
    """
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
