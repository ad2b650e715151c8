"""The tritonserver on PATH, and its backends.

Planning uses this module, too. So it imports no client.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

# The folder with the backends in NVIDIA's container.
CONTAINER_BACKENDS = Path("/opt/tritonserver/backends")


def on_path_with(backends: Collection[str]) -> str | None:
    """Return the path of the tritonserver on PATH if it has all `backends`, such as {"tensorrt"}; otherwise None."""
    program = shutil.which("tritonserver")
    return program if program and set(backends) <= native_backends(program) else None


def native_backends(program: str) -> set[str]:
    """Return the names of the backends of the tritonserver `program`, without the Python backend."""
    beside = Path(program).resolve().parents[1] / "backends"
    folders = [folder for root in (beside, CONTAINER_BACKENDS) if root.is_dir() for folder in root.iterdir()]
    return {folder.name for folder in folders} - {"python"}
