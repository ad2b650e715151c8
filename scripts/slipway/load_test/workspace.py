"""The working folder of a load test, which is removed at its end. After a kill, the next load test removes it.

<temporary>/slipway-load-test-<name>.lock    locked during the load test; made before the folder
<temporary>/slipway-load-test-<name>/        engines, measurements, the script that starts the server
"""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from slipway.core.cli import progress
from slipway.triton.server.container_programs import remove_containers
from slipway.triton.server.leftovers import remove_leftovers
from slipway.triton.server.plain_paths import temporary_folder

PREFIX, LOCK = "slipway-load-test-", ".lock"


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Context manager: yield a new empty working folder for a load test, and remove the folder at the end.

    Before, remove the remains of killed load tests on this machine. At the end, containers of the load test are
    removed, too.
    """
    clear_left_over()
    with tempfile.NamedTemporaryFile(prefix=PREFIX, suffix=LOCK, dir=temporary_folder()) as lock:
        # On a file system without locks, the next load test cannot lock this file, so it leaves the folder alone.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(lock.name).with_suffix("")
        folder.mkdir(mode=0o700)  # the script that starts the server contains its key
        try:
            yield folder
        finally:
            remove_containers(folder, folder.name, but_of=set())
            shutil.rmtree(folder, ignore_errors=True)


def clear_left_over() -> None:
    """Remove the remains of killed load tests: their processes, which would disturb a measurement, and their files."""
    for path in temporary_folder().glob(f"{PREFIX}*{LOCK}"):
        folder = path.with_suffix("")
        # A running load test holds its lock; another user's files are not accessible.
        with contextlib.suppress(OSError), path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.is_dir():
                remove_leftovers(f"{folder.name}-", but_of=set())
                remove_containers(folder, folder.name, but_of=set())
                shutil.rmtree(folder)
                path.unlink()
                progress(f"  removed {folder}, left by a load test that was killed")
