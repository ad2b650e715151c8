"""The environment variables of a tritonserver that Slipway starts."""

import os

from slipway.triton.server.leftovers import owner_variable

# Without these variables, glibc returns the memory of each request to the system, and the next request must get it
# again: 20 page faults for an image of 150 kB, and a fifth of the server's CPU time. With these variables, up to 256 MB
# stay for later requests.
ALLOCATION = {
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
}


def allocation() -> dict[str, str]:
    """Return {name: value} of the variables that set glibc's memory allocation. Variables set by the user are kept."""
    return {name: os.environ.get(name, value) for name, value in ALLOCATION.items()}


def server_environment(owner: str) -> dict[str, str]:
    """Return {name: value} of the variables that all processes of a server inherit. `owner` is the server's id."""
    return allocation() | owner_variable(owner)
