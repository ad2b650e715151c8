"""Allow one workflow at a time in a folder. A second run fails and names the first run.

A killed run blocks no other run.
"""

import fcntl
import json
import os
import shutil
import socket
import time
import uuid
from pathlib import Path
from typing import TextIO

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from slipway.core.artifacts import make_way_for_file
from slipway.core.records import read_record
from slipway.snakemake_hooks.layout import LOCKS, SNAKEMAKE

HOLDER = {"pid": int, "host": str, "since": str}
# A read-only command holds the lock for a moment, to remove the locks of a killed run.
PATIENCE_S = 3.0
PAUSE_S = 0.1


class RunLock:
    """The operating system's lock on a folder. The system releases the lock when the process of the run ends.

    Snakemake's own lock consists of files, which a killed run leaves behind. The process with this lock knows that no
    other workflow runs in the folder, so it removes these files.
    """

    def __init__(self, folder: Path = SNAKEMAKE) -> None:
        self._file = folder / "slipway" / "running.json"
        self._snakemakes = folder / LOCKS
        self._held: TextIO  # set by `take`
        self.run = uuid.uuid4().hex
        # A warning if the file system has no locks: a killed run's Snakemake lock then remains.
        self.caution: str | None = None
        # The id of the last run if it was killed on this machine; None if not.
        self.killed_run: str | None = None

    def take(self, patience_s: float = 0.0) -> bool:
        """Take the lock, and remove Snakemake's locks of a killed run. Return False if another process keeps the lock.

        `patience_s` is the time to wait for the lock, in seconds. On a file system without locks, return True and set
        `caution`. Then only Snakemake's own lock keeps other runs out.
        """
        make_way_for_file(self._file)
        self._held = open(self._file, "a+", encoding="utf-8")  # noqa: SIM115, open for as long as the lock is held
        held = retry_if_exception_type(BlockingIOError)
        patiently = Retrying(retry=held, stop=stop_after_delay(patience_s), wait=wait_fixed(PAUSE_S), reraise=True)
        try:
            patiently(fcntl.flock, self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._held.close()
            return False
        except OSError as error:
            self.caution = (
                f"the file system of {self._file.parent} has no locks ({error.strerror}): run one snakemake at a time "
                "here, on one machine; should a killed run have left Snakemake's own lock, remove it with --unlock"
            )
            return True
        last = read_record(self._file, HOLDER)
        # The locks of a network file system may be valid only within one machine.
        if last is None or last["host"] == socket.gethostname():
            shutil.rmtree(self._snakemakes, ignore_errors=True)
            self.killed_run = last and last.get("run")
        return True

    def work(self) -> None:
        """Write this run's process id, host, start time and id into the lock's file, after `take`.

        Runs that start meanwhile name this run in their error. After a kill, the next run finds this run's programs by
        the id.
        """
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T"), "run": self.run}
        self._held.truncate(0)
        json.dump(holder, self._held)
        self._held.flush()

    def end(self) -> None:
        """Release the lock at the end of a run, and remove the record of the run from its file."""
        if not self._held.closed:
            self._held.truncate(0)
            self._held.close()

    def give_back(self) -> None:
        """Release the lock of a read-only command. The lock file keeps the record of a killed run for the next run."""
        self._held.close()

    def holder(self) -> str:
        """Return a phrase about the run that holds the lock: process id, host and start time, or "another process"."""
        holder = read_record(self._file, HOLDER)
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}" if holder else "another process"
