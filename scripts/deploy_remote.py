"""Deploy a model to Kubernetes, KServe, Arena or Compose: publish, roll out, prove, or roll back.

If any step fails, the live version goes on serving. After a kill, the next run continues from the last step.
"""

import argparse
from pathlib import Path

from slipway.core.cli import parser, run
from slipway.core.job_settings import add_planned
from slipway.deploy.platform import platform_at
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.publishing import Publisher
from slipway.deploy.release import Release
from slipway.deploy.release_history import ReleaseHistory
from slipway.deploy.transaction import deploy
from slipway.deploy.verification import announce


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--to", choices=list(PLATFORMS), required=True, help="where to deploy")
    arguments.add_argument("--results", type=Path, required=True, help="folder of the model's results")
    arguments.add_argument("--context", help="context of the kubeconfig; its current one if left out")
    arguments.add_argument("--publish-to", help="folder or storage to publish repositories to; none if left out")
    arguments.add_argument("--keep-published", type=int, default=3, help="versions of a repository to keep there")
    arguments.add_argument("--signed", action="store_true", help="whether the repositories have signatures")
    arguments.add_argument("--public-key", type=Path, help="key that must verify the signatures (.pem)")
    add_planned(arguments, "public_key_sha256")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until a model must be ready")
    arguments.add_argument(
        "--keep-versions", type=int, default=3, help="versions to keep for rollback, the live one too"
    )
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the release, deploy it, print the live version."""
    history = ReleaseHistory(arguments.results, arguments.to)
    release = Release.read(arguments.results, arguments.to)
    place = {**release.place, "context": arguments.context}
    platform = platform_at(arguments.to, place, history.folder, arguments.ready_timeout_s)
    publishing = (arguments.publish_to, arguments.keep_published, arguments.signed, arguments.public_key)
    publisher = Publisher(arguments.results, *publishing)
    receipt = deploy(platform, release, history, publisher.publish, arguments.keep_versions)
    announce(receipt, release.files[0].as_posix())


if __name__ == "__main__":
    run(main, parse_arguments())
