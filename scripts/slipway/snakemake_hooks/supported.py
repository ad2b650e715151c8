"""Check that this version of Snakemake stores its records where this package reads them."""

import re
from typing import Any

from snakemake.exceptions import WorkflowError

# Snakemake has all used internals since 9.19. A contract test checks each of them in the installed version.
OLDEST, BEFORE = (9, 19), (10, 0)


def require_supported_version(version: str) -> None:
    """Raise WorkflowError unless Slipway works with this version of Snakemake."""
    release = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if not OLDEST <= release < BEFORE:
        raise WorkflowError(
            f"this is Snakemake {version}, but Slipway needs {_dotted(OLDEST)} or later, and a version before "
            f"{_dotted(BEFORE)}; `pip install -r envs/requirements.txt` installs the one that it was tested with"
        )


def require_records(workflow: Any) -> None:
    """Raise WorkflowError if this run would store no records in .snakemake/metadata: later runs would miss changes."""
    backend = getattr(workflow.workflow_settings, "persistence_backend", None)  # 9.19 knows files alone
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


def _dotted(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))
