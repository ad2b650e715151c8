"""Remove the live models from a platform, and their receipts."""

import argparse

from slipway.core.cli import progress, run
from slipway.deploy.deployments import Deployment, deployment_parser, deployments
from slipway.deploy.report_pages import refresh_pages


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    return deployment_parser(__doc__).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Remove the objects of each model, in its receipt or from a killed deployment."""
    removed = [name for deployment in deployments(arguments) for name in undeploy(deployment)]
    refresh_pages(arguments.results)
    for name in removed:
        progress(f"removed {name}")
    if not removed:
        progress(f"nothing is deployed to {arguments.to} from this checkout")


def undeploy(deployment: Deployment) -> list[str]:
    """Remove all objects of one release; return the names of the objects that existed."""
    platform, attempted = deployment.live_platform(), deployment.history.attempted()
    if platform is None:
        return []
    with platform.lock():
        contents = [receipt["contents"] for receipt in deployment.history.live().values()]
        removed = platform.remove([*contents, *([platform.contents(attempted)] if attempted else [])])
        deployment.history.undeployed()
    return removed


if __name__ == "__main__":
    run(main, parse_arguments())
