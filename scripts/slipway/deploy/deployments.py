"""The deployments that a command's options select: platform, release history, and the models' folders."""

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
    """Models that are deployed together to the platform `to`. `results` are their folders results/<model>.

    `options` are the options of the program that runs, such as its ports and timeouts.
    """

    to: str
    results: list[Path]
    history: ReleaseHistory
    options: argparse.Namespace

    def platform(self, receipt: dict) -> Platform:
        """Return the platform that the "place" of a receipt identifies."""
        return kind_of(self.to).at(receipt, self.history.store.folder, self.options)

    def live_platform(self) -> Platform | None:
        """Return the platform of the live release, or else of an interrupted rollout; None if there is neither.

        For the local server, the result is never None.
        """
        if receipt := next(iter(self.history.with_unconfigured().live().values()), None):
            return self.platform(receipt)
        if attempted := self.history.attempted():
            return self.platform({"place": attempted.place})
        return self.platform({"place": {}}) if PLATFORMS[self.to].together else None


def deployment_parser(description: str, platform: bool = True, alone: bool = False) -> argparse.ArgumentParser:
    """Return a parser with the options that select models and, if `platform` is true, their platform.

    If `alone` is true, the parser also has the option --alone, which leaves all other live models unchanged.
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
    """Add the options that `deploy.py` and `rollback.py` share, such as --keep-versions."""
    add_settings(arguments, "deploy", "keep_versions")
    arguments.add_argument("--public-key", type=Path, help="key that must verify the signatures (.pem)")
    arguments.add_argument("--snakemake-options", default="", help="options for the commands that are shown at the end")


def deployments(
    options: argparse.Namespace, to: str | None = None, results: list[Path] | None = None
) -> list[Deployment]:
    """Return one Deployment of all models if one server serves all models of the platform, else one for each model.

    `to` is the platform and `results` has the models' folders. By default, both come from the options.
    """
    traits, folders = PLATFORMS[to or options.to], results or options.results
    groups = []
    for group in [folders] if traits.together else [[folder] for folder in folders]:
        store = kind_of(traits.name).store(traits.name, group[0], options)
        history = ReleaseHistory(store, [folder / "deploy" / traits.receipt for folder in group])
        groups.append(Deployment(traits.name, group, history, options))
    return groups
