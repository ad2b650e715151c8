"""One workflow at a time in a folder: who works here is known, and a killed run's lock is not in the way."""

import fcntl
import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import IO

from slipway.artifacts import make_folder, remove
from slipway.records import read_record

FOLDER = Path(".snakemake")
HOLDER = {"pid": int, "host": str, "since": str}


class RunLock:
    """The operating system's lock on a folder's workflow, which ends with the process that holds it.

    Snakemake's own lock is files, which a killed run leaves behind. Whoever gets this lock knows that nobody works
    here, and removes them.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._file = folder / "slipway" / "running.json"
        self._snakemakes = folder / "locks"
        self._held: IO | None = None
        self._no_locks: OSError | None = None

    def take(self) -> bool:
        """Take the lock and clear what a killed run left; return False when another process has it.

        On a file system without locks nobody is kept out but by Snakemake's own.
        """
        make_folder(self._file.parent)
        if self._file.is_dir():
            remove(self._file)
        self._held = open(self._file, "a+", encoding="utf-8")  # noqa: SIM115, open for as long as the lock is held
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.close()
            return False
        except OSError as error:
            self._no_locks = error
            return True
        if self._last_holder_was_here():
            shutil.rmtree(self._snakemakes, ignore_errors=True)
        self._held.truncate(0)
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}, self._held)
        self._held.flush()
        return True

    def caution(self) -> str | None:
        """Return in words that the file system has no locks, if so: then a killed run's lock stays in the way."""
        if self._no_locks is None:
            return None
        return (
            f"the file system of {self._file.parent} has no locks ({self._no_locks.strerror}): run one snakemake at a "
            "time here, on one machine; should a killed run have left Snakemake's own lock, remove it with --unlock"
        )

    def holder(self) -> str:
        """Return in words who works here."""
        said = read_record(self._file, HOLDER)
        return f"process {said['pid']} on {said['host']}, since {said['since']}" if said else "another process"

    def _last_holder_was_here(self) -> bool:
        """Say whether the last holder was on this machine: a network file system may lock for each machine alone."""
        said = read_record(self._file, HOLDER)
        return said is None or said["host"] == socket.gethostname()
