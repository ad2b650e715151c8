"""The working folder of a load test: removed at its end, or after a kill by the next load test.

<temporary>/slipway-load-test-<name>.lock    held for as long as the load test runs, from before the folder is there
<temporary>/slipway-load-test-<name>/        engines, measurements, what starts the server
"""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from slipway.core.cli import progress
from slipway.triton.server.plain_paths import temporary_folder
from slipway.triton.server.stub_memory import remove_regions

PREFIX, LOCK = "slipway-load-test-", ".lock"


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Yield an empty folder, after what killed load tests left on this machine was stopped and removed."""
    clear_left_over()
    with tempfile.NamedTemporaryFile(prefix=PREFIX, suffix=LOCK, dir=temporary_folder()) as lock:
        with contextlib.suppress(OSError):  # without locks, no load test takes it for that of a killed one
            fcntl.flock(lock, fcntl.LOCK_EX)
        folder = _folder_of(Path(lock.name))
        folder.mkdir(mode=0o700)  # what starts the server holds its key
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def clear_left_over() -> None:
    """Stop the processes of load tests that were killed, whose servers would disturb this one, and remove the rest."""
    for path in temporary_folder().glob(f"{PREFIX}*{LOCK}"):
        folder = _folder_of(path)
        # One that still runs holds its lock; another user's may not be touched.
        with contextlib.suppress(OSError), path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.is_dir():
                stop_processes_of(folder)
                remove_regions(f"{folder.name}-", but_of=set())
                shutil.rmtree(folder)
                path.unlink()
                progress(f"  removed {folder}, left by a load test that was killed")


def stop_processes_of(folder: Path) -> None:
    """Kill every process whose command line names a folder."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or []):
            with contextlib.suppress(psutil.Error):
                process.kill()


def _folder_of(lock: Path) -> Path:
    return lock.with_suffix("")
