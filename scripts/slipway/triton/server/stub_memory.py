"""The regions of 1 MB that Triton's Python backend has in /dev/shm, one for each instance, after a kill.

A server that ends by itself removes its own. Their names begin with its id, so they are not confused with others'.
"""

import contextlib
import os
from pathlib import Path

from slipway.core.cli import progress

SHARED_MEMORY = Path("/dev/shm")


def region_flag(owner: str) -> str:
    """Return the flag by which the names of a server's regions begin with `owner`, such as its id."""
    return f"--backend-config=python,shm-region-prefix-name={owner}-"


def remove_regions(begins: str, but_of: set[str]) -> None:
    """Remove this user's regions whose names begin with `begins`, except those of servers that still run."""
    left = [path for path in SHARED_MEMORY.glob(f"{begins}*") if not path.name.startswith(tuple(but_of))]
    for path in left:
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                path.unlink()
    if left:
        progress(f"  removed {len(left)} region(s) of {SHARED_MEMORY}, left by a server that was killed")
