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
    """Return {environment variable: value} that makes glibc keep freed memory for later requests (see ALLOCATION).

    Values that the user has set are kept.
    """
    return {name: os.environ.get(name, value) for name, value in ALLOCATION.items()}


def server_environment(owner: str) -> dict[str, str]:
    """Return {environment variable: value} with which a server is started: glibc's settings, and the server's name.

    All its processes inherit the name, `owner`, by which leftovers of a killed server are found. It is the server's id.
    """
    return allocation() | owner_variable(owner)
