"""The tritonserver on PATH, and the backends that it has.

Nothing here imports the client, because planning uses this module, too.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

# The folder of the backends in NVIDIA's container.
CONTAINER_BACKENDS = Path("/opt/tritonserver/backends")


def on_path_with(backends: Collection[str]) -> str | None:
    """Return the tritonserver on PATH if it has all of `backends`; else None."""
    program = shutil.which("tritonserver")
    return program if program and set(backends) <= native_backends(program) else None


def native_backends(program: str) -> set[str]:
    """Return the backends of a tritonserver, without the Python backend."""
    beside = Path(program).resolve().parents[1] / "backends"
    folders = [folder for root in (beside, CONTAINER_BACKENDS) if root.is_dir() for folder in root.iterdir()]
    return {folder.name for folder in folders} - {"python"}
