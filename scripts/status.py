"""Show each live model: its version, weights, engine, answer and platform, and whether it is stale or configured."""

import argparse
from pathlib import Path

from slipway.core.cli import progress, run
from slipway.core.hardware import cpu_identity, gpu_identity
from slipway.deploy.deployments import Deployment, deployment_parser, deployments
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.status import describe


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    return deployment_parser(__doc__, platform=False).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Settle an interrupted rollout, then print one block for each live model, whether it is configured or not."""
    for identity in filter(None, (cpu_identity(), gpu_identity())):
        progress(f"this machine: {identity}")
    platforms = [deployment for to in PLATFORMS for deployment in live_on(arguments, to)]
    live = {path for deployment in platforms for path in show(deployment, arguments.results)}
    for folder in arguments.results:
        if folder not in live:
            progress(f"{folder.name}: not deployed (snakemake --cores 1 deploy)")


def live_on(arguments: argparse.Namespace, to: str) -> list[Deployment]:
    """Return the deployments to the platform `to`, such as "local" or "kubernetes".

    If no model has a receipt of this platform, the record that a deployment writes, the list is empty, and no client is
    imported. For a platform that serves all models together, the list is never empty.
    """
    traits = PLATFORMS[to]
    if traits.together:
        return deployments(arguments, to)
    receipts = sorted(arguments.results[0].parent.glob(f"*/deploy/{traits.receipt}"))
    return deployments(arguments, to, [path.parents[1] for path in receipts]) if receipts else []


def show(deployment: Deployment, configured: list[Path]) -> list[Path]:
    """Print one block of text for each live model of a deployment; return the results folders of these models.

    `configured` are the results folders of the configured models; the text says of another model that it is not
    configured.
    """
    if platform := deployment.live_platform():
        platform.refresh(deployment.history)
    history = deployment.history.with_unconfigured()
    folders = {path: path.parents[1] for path in history.receipts if path.exists()}
    for path in history.damaged():
        progress(f"{folders[path].name}: its receipt {path} is damaged; `snakemake --cores 1 deploy` writes it again")
    for model, receipt in history.live().items():
        results = next(folder for folder in folders.values() if folder.name == model)
        lines = describe(deployment.platform(receipt), history, receipt, results, is_configured=results in configured)
        progress("\n".join(lines))
    return list(folders.values())


if __name__ == "__main__":
    run(main, parse_arguments())
