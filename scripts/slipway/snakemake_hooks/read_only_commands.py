"""Recognise Snakemake commands that only read the workflow, so that they may run beside another one."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from snakemake.cli import parse_args

# Rules that print a state and make no artifact.
_TELLING = {"status"}
# Snakemake's options that print something about the workflow instead of running it.
PRINTING = (
    *("dryrun", "lint", "list_rules", "list_target_rules", "print_compilation", "dag", "rulegraph", "filegraph"),
    *("d3dag", "summary", "detailed_summary", "list_changes", "list_input_changes", "list_params_changes"),
    *("list_untracked", "list_conda_envs", "report"),
)


def only_looks(command: Sequence[str]) -> bool:
    """Return whether `command` (program name first) only prints about the workflow or runs only rules of `_TELLING`."""
    if Path(command[0]).name not in ("snakemake", "__main__.py"):
        return False
    # Snakemake's own parser also reads profiles. It ends the program if the options are invalid.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        chosen = parse_args(list(command[1:]))[1]
        prints = any(getattr(chosen, option, None) for option in PRINTING)
        return prints or (bool(chosen.targets) and _TELLING.issuperset(chosen.targets))
    return False
