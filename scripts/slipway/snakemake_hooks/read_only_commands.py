"""Recognise Snakemake commands that only print facts, or that only operate a deployment."""

import argparse
import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from snakemake.cli import parse_args

# Rules that print a state and make no artifact.
_TELLING = {"status"}
# Rules that need a deployment, and no file that the configuration names.
_OPERATING = _TELLING | {"rollback", "undeploy", "prune"}
# The beginnings of the names of such rules for one model.
_OPERATING_ONE = ("rollback_", "undeploy_")
# Snakemake's options that print something about the workflow instead of running it.
PRINTING = (
    *("dryrun", "lint", "list_rules", "list_target_rules", "print_compilation", "dag", "rulegraph", "filegraph"),
    *("d3dag", "summary", "detailed_summary", "list_changes", "list_input_changes", "list_params_changes"),
    *("list_untracked", "list_conda_envs", "report"),
)


def is_read_only(options: argparse.Namespace) -> bool:
    """Return whether a command only prints facts about the workflow or its deployments.

    `options` are the command's options, as `options_of` returns them. Such a command may run at the same time as
    another command.
    """
    return any(getattr(options, name, None) for name in PRINTING) or _runs_only(_TELLING, options)


def builds_nothing(options: argparse.Namespace) -> bool:
    """Return whether a command runs only rules that operate a deployment or remove files, and builds no artifact.

    `options` are the command's options, as `options_of` returns them.
    """
    of_one = {target for target in options.targets if target.startswith(_OPERATING_ONE)}
    return _runs_only(_OPERATING | of_one, options)


def _runs_only(rules: set[str], options: argparse.Namespace) -> bool:
    return bool(options.targets) and rules.issuperset(options.targets)


def options_of(command: Sequence[str]) -> argparse.Namespace:
    """Return Snakemake's parsed options of a command, a list of words that begins with the program name.

    If the command is invalid or not Snakemake's, return only `targets`, an empty list.
    """
    # Snakemake's own parser also reads profiles. It ends the program if the options are invalid.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        if Path(command[0]).name in ("snakemake", "__main__.py"):
            return parse_args(list(command[1:]))[1]
    return argparse.Namespace(targets=[])
