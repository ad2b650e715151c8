"""Checks at the start of a run: Snakemake's version and settings, the path of modules, write access to folders."""

import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from slipway.core.errors import SlipwayError

# Snakemake has all used internals since 9.19. A contract test checks each of them in the installed version.
OLDEST, BEFORE = (9, 19), (10, 0)


def require_supported_version(version: str) -> None:
    """Raise WorkflowError unless Snakemake's `version` is at least OLDEST and before BEFORE."""
    release = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if not OLDEST <= release < BEFORE:
        oldest, before = (".".join(map(str, release)) for release in (OLDEST, BEFORE))
        raise WorkflowError(
            f"this is Snakemake {version}, but Slipway needs {oldest} or later, and a version before {before}; "
            "`pip install -r envs/requirements.txt` installs the one that it was tested with"
        )


def remove_from_path(folder: Path) -> None:
    """Remove `folder`, that of the Snakefile, from sys.path, so that planning finds the same modules as the jobs.

    Snakemake puts the folder there, but jobs do not have it on their path. The folder stays if it was on the path
    before: by PYTHONPATH, or by an installation in site-packages.
    """
    entries = os.environ.get("PYTHONPATH", "")
    of_user = {Path(entry).resolve() for entry in entries.split(os.pathsep)} if entries else set()
    packages = sysconfig.get_path("stdlib")  # installations add their folders after it, Snakemake in front of it
    before = sys.path.index(packages) if packages in sys.path else len(sys.path)
    if folder.resolve() not in of_user:
        sys.path[:before] = [entry for entry in sys.path[:before] if Path(entry).resolve() != folder.resolve()]


def require_plain_module(modifier: Any) -> None:
    """Raise WorkflowError if another workflow uses Slipway as a module with renamed rules or replaced paths.

    `modifier` is Snakemake's object with these changes.
    """
    if (modifier.modify_rulename("evidence"), modifier.modify_path("results/x")) != ("evidence", "results/x"):
        raise WorkflowError(
            "Slipway's programs, records and servers look for results/ and for its rules by their names; leave "
            "`prefix` and `replace_prefix` out of the module, and take its rules with `use rule * from ...` alone. "
            "Nothing was changed"
        )


def require_records(workflow: Any) -> None:
    """Raise WorkflowError if Snakemake would store no records in .snakemake/metadata, which later runs need.

    Without the records, later runs could not tell the stale artifacts. `workflow` is Snakemake's workflow.
    """
    backend = getattr(workflow.workflow_settings, "persistence_backend", None)  # 9.19 has no backends
    if backend is not None and backend.name != "FILE":
        raise WorkflowError(
            f"--persistence-backend {backend.name.lower()} keeps Snakemake's records in a database, where Slipway does "
            "not see which artifacts are stale or were edited; leave that option out. Nothing was changed"
        )
    if not getattr(workflow.execution_settings, "keep_metadata", True):
        raise WorkflowError(
            "--drop-metadata leaves no record of how an artifact was made, so that no later run would see that it is "
            "stale; leave that option out. Nothing was changed"
        )


def require_folders(*names: str) -> None:
    """Raise SlipwayError unless each of the folders `names` is writable or can be made."""
    for name in names:
        path = Path(name)
        if path.is_symlink() and not path.exists():
            raise SlipwayError(f"{name} is a link to {path.readlink()}, which does not exist; mount or make it first")
        if path.exists() and not path.is_dir():
            raise SlipwayError(f"{name} is a file, but the workflow keeps a folder there; move it away")
        folder = path if path.exists() else path.absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SlipwayError(
                f"{folder} cannot be written by this user, or lies on a read-only file system; change that, or work in "
                "another folder with --directory"
            )
