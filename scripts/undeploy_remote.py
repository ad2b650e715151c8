"""Remove the live models from Kubernetes, KServe, Arena or Compose, and withdraw their receipts."""

import argparse
from pathlib import Path

from slipway.core.cli import parser, progress, run
from slipway.deploy.platform import platform_at
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release_history import ReleaseHistory


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--to", choices=list(PLATFORMS), required=True, help="where the models are deployed")
    arguments.add_argument("--results", type=Path, nargs="+", required=True, help="folders of the models' results")
    arguments.add_argument("--context", help="context of the kubeconfig, for a deployment without a receipt")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds that a server may take to drain")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Remove the objects of each model: those in its receipt, and those of a killed deployment."""
    removed = [
        name for results in arguments.results for name in undeploy(ReleaseHistory(results, arguments.to), arguments)
    ]
    if not removed:
        progress(f"nothing is deployed to {arguments.to} from this checkout")


def undeploy(history: ReleaseHistory, arguments: argparse.Namespace) -> list[str]:
    """Remove all objects of one model; return the names of the objects that existed."""
    live, begun = history.live(), history.begun()
    attempted = history.version(begun["number"]) if begun else None
    place = live["place"] if live else {**attempted.place, "context": arguments.context} if attempted else None
    removed = []
    if place:
        platform = platform_at(arguments.to, place, history.folder, arguments.ready_timeout_s)
        with platform.lock():
            removed += platform.remove(live["contents"]) if live else []
            removed += platform.remove(platform.contents(attempted)) if attempted else []
            history.withdraw()
    for name in removed:
        progress(f"removed {name}")
    return removed


if __name__ == "__main__":
    run(main, parse_arguments())
