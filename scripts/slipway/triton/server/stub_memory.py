"""Shared memory that Triton's Python backend leaves in /dev/shm after a kill: a region of 1 MB for each instance.

A server that ends normally removes its own regions. Their names begin with its id, which tells them from others'.
"""

import contextlib
import os
from pathlib import Path

from slipway.core.cli import progress

SHARED_MEMORY = Path("/dev/shm")


def region_flag(owner: str) -> str:
    """Return the flag that sets the prefix of a server's region names to `owner`, such as its id."""
    return f"--backend-config=python,shm-region-prefix-name={owner}-"


def remove_regions(begins: str, but_of: set[str]) -> None:
    """Remove this user's regions whose names begin with `begins`, except those of running servers."""
    left = [path for path in SHARED_MEMORY.glob(f"{begins}*") if not path.name.startswith(tuple(but_of))]
    for path in left:
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                path.unlink()
    if left:
        progress(f"  removed {len(left)} region(s) of {SHARED_MEMORY}, left by a server that was killed")
