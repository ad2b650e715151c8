"""Start Snakemake in a fork of a process that imported it in another folder, as the tests do.

This file is run by its path, before the fork imports Slipway from the folder of its own Snakefile.
"""

from pathlib import Path

import snakemake.api  # noqa: F401, snakemake.workflow cannot be imported before it
from snakemake.workflow import Workflow


def take_working_folder() -> None:
    """Let Snakemake work in the present folder. Otherwise it works in the folder where it was imported."""
    Workflow._rundir = str(Path.cwd())
