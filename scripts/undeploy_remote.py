"""Take away what is live on Kubernetes, KServe, Arena or Compose, and withdraw its receipts."""

import argparse
from pathlib import Path

from slipway.core.cli import parser, progress, run
from slipway.deploy.platforms import platform_at
from slipway.deploy.release import FILES
from slipway.deploy.release_history import ReleaseHistory


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--to", choices=list(FILES), required=True, help="where the models are deployed")
    arguments.add_argument("--results", type=Path, nargs="+", required=True, help="folders of the models' results")
    arguments.add_argument("--context", help="context of the kubeconfig, for what was never proven there")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds that a server may take to drain")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Remove what each model has there: what its receipt says, and what a deployment that was killed left."""
    removed = [
        name for results in arguments.results for name in undeploy(ReleaseHistory(results, arguments.to), arguments)
    ]
    if not removed:
        progress(f"nothing is deployed to {arguments.to} from this checkout")


def undeploy(kept: ReleaseHistory, arguments: argparse.Namespace) -> list[str]:
    """Remove everything of one model; return the names of what was there."""
    live, left = kept.live(), kept.begun()
    attempted = kept.version(left["number"]) if left else None
    place = live["place"] if live else {**attempted.place, "context": arguments.context} if attempted else None
    removed = []
    if place:
        platform = platform_at(arguments.to, place, kept.folder, arguments.ready_timeout_s)
        with platform.alone():
            removed += platform.remove(live["contents"]) if live else []
            removed += platform.remove(platform.contents(attempted)) if attempted else []
            kept.withdraw()
    for name in removed:
        progress(f"removed {name}")
    return removed


if __name__ == "__main__":
    run(main, parse_arguments())
