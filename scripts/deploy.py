"""Deploy models to a platform: preflight, publish, start, verify, switch, record.

If a step fails or the program is killed, the live version goes on serving. The next run continues from the state that
was recorded.
"""

import argparse
from functools import partial
from pathlib import Path

from slipway.core.cli import run, unwind_when_terminated
from slipway.core.job_settings import add_planned
from slipway.core.setting_options import add_settings
from slipway.deploy.announcement import announce
from slipway.deploy.deployments import add_rollout, deployment_parser, deployments
from slipway.deploy.publishing import publish
from slipway.deploy.release import Release
from slipway.deploy.report_pages import refresh_pages
from slipway.deploy.transaction import deploy
from slipway.history.guard import require_no_regression
from slipway.triton.server import releases
from slipway.triton.server.server_options import add_server_choice
from slipway.triton.server.tls import add_tls


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = deployment_parser(__doc__)
    add_rollout(arguments)
    add_planned(arguments, "public_key_sha256")
    arguments.add_argument("--artifacts", type=Path, nargs="*", default=[], help="files and folders to deploy")
    arguments.add_argument("--regression", default="{}", help="`regression` of config.yaml, as JSON")
    cluster = arguments.add_argument_group("in a cluster")
    cluster.add_argument("--publish-to", help="folder or storage to publish repositories to; none if left out")
    cluster.add_argument("--keep-published", type=int, default=3, help="versions of a repository to keep there")
    cluster.add_argument("--signed", action="store_true", help="whether the repositories have signatures")
    local = arguments.add_argument_group("on this machine")
    local.add_argument("--target", help="target whose repositories the local server serves")
    local.add_argument("--http-port", type=int, help="port of the HTTP API; left out, there is none")
    add_settings(local, "deploy", "host", "grpc_port", "metrics_port")
    local.add_argument(
        "--shared-memory", action=argparse.BooleanOptionalAction, default=False, help="let clients here share memory"
    )
    local.add_argument("--oldest", default=releases.FLOOR, help="oldest Triton release that others may reach")
    local.add_argument("--server-generation", type=int, default=1, help="servers started so far, with this one")
    add_tls(arguments)
    add_server_choice(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read all releases, refuse regressions, deploy each release, and print the live versions."""
    unwind_when_terminated()
    publishing = {"to": arguments.publish_to, "keep": arguments.keep_published}
    publishing |= {"signed": arguments.signed, "public_key": arguments.public_key}
    releases = [
        (deployment, Release.read(deployment.results, deployment.to, arguments.target))
        for deployment in deployments(arguments)
    ]
    for deployment, release in releases:
        for folder in deployment.results:
            versions = {part.target: part.version for part in release.of_model(folder.name).parts}
            require_no_regression(folder, deployment.to, versions, arguments.regression)
    for deployment, release in releases:
        platform = deployment.platform({"place": release.place})
        published = partial(publish, results=deployment.results[0], **publishing)
        receipts = deploy(platform, release, deployment.history, published, arguments.keep_versions)
        announce(receipts, arguments.snakemake_options)
    refresh_pages(arguments.results)


if __name__ == "__main__":
    run(main, parse_arguments())
