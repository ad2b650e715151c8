"""The deployments that a program's options select, each with its platform, its release history and its models.

The programs deploy.py, rollback.py, undeploy.py and status.py share these options.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from slipway.core import cli
from slipway.core.setting_options import add_settings
from slipway.deploy.local import server_state
from slipway.deploy.platform import Platform, kind_of
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release_history import ReleaseHistory


@dataclass(frozen=True)
class Deployment:
    """The models that are deployed together to the platform `to`. `results` are their folders results/<model>.

    `history` records their releases. `options` are the options of the program that runs, such as its ports and
    timeouts.
    """

    to: str
    results: list[Path]
    history: ReleaseHistory
    options: argparse.Namespace

    def platform(self, receipt: dict) -> Platform:
        """Return the platform on which a model was deployed, such as the namespace of a cluster.

        `receipt` is the record of the deployment; {"place": place} is enough, where `place` is the result of
        `Platform.place`.
        """
        return kind_of(self.to).at(receipt, self.history.store.folder, self.options)

    def live_platform(self) -> Platform | None:
        """Return the platform of the live release, or else of an interrupted deployment; None if there is neither.

        For the local server, the result is never None.
        """
        if receipt := next(iter(self.history.with_unconfigured().live().values()), None):
            return self.platform(receipt)
        if attempted := self.history.attempted():
            return self.platform({"place": attempted.place})
        return self.platform({"place": {}}) if PLATFORMS[self.to].together else None


def deployment_parser(description: str, platform: bool = True, alone: bool = False) -> argparse.ArgumentParser:
    """Return a parser with the options that select the models of a deployment.

    `description` is the program's docstring. If `platform` is true, the parser has the option --to for the platform. If
    `alone` is true, it has the option --alone, which leaves all other live models unchanged.
    """
    arguments = cli.parser(description)
    if platform:
        arguments.add_argument("--to", choices=list(PLATFORMS), default="local", help="platform of the deployment")
    if alone:
        arguments.add_argument("--alone", action="store_true", help="leave all other live models as they are")
    arguments.add_argument("--results", type=Path, nargs="+", required=True, help="folders of the models' results")
    arguments.add_argument("--context", help="context of the kubeconfig; its current one if left out")
    arguments.add_argument("--state", type=Path, default=server_state.FOLDER, help="folder of the local server's state")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    add_settings(arguments, "deploy", "ready_timeout_s")
    return arguments


def add_rollout(arguments: argparse.ArgumentParser) -> None:
    """Add the options that only deploy.py and rollback.py have, such as --keep-versions, to a parser of theirs."""
    add_settings(arguments, "deploy", "keep_versions")
    arguments.add_argument("--public-key", type=Path, help="key that must verify the signatures (.pem)")
    arguments.add_argument("--snakemake-options", default="", help="options for the commands that are shown at the end")


def deployments(
    options: argparse.Namespace, to: str | None = None, results: list[Path] | None = None
) -> list[Deployment]:
    """Return the deployments that the options select, each with the models that are deployed together.

    If one server has all models of the platform, this is one Deployment, else one for each model. `to` is the platform,
    and `results` are the folders results/<model>; None takes them from the options.
    """
    traits, folders = PLATFORMS[to or options.to], results or options.results
    groups = []
    for group in [folders] if traits.together else [[folder] for folder in folders]:
        store = kind_of(traits.name).store(traits.name, group[0], options)
        history = ReleaseHistory(store, [folder / "deploy" / traits.receipt for folder in group])
        groups.append(Deployment(traits.name, group, history, options))
    return groups
