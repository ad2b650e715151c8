"""Find and end the programs of a killed workflow: `kill -9` ends snakemake, but not the programs that it started."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil

from slipway.core.errors import SlipwayError

# The environment variable with the id of the run that started a program.
VARIABLE = "SLIPWAY_RUN"
# This time is long, because a terminated deployment first rolls back.
PATIENCE_S = 60


def programs_of(run: str | None, folders: Iterable[Path]) -> list[psutil.Process]:
    """Return the running processes of programs in `folders` that the killed run with the id `run` started.

    Child processes of these programs are not included, because the live server, which must stay, may be a child. If
    `run` is None (no run was killed), return [].
    """
    programs, folders = [], {folder.resolve() for folder in folders}
    for process in psutil.process_iter() if run else ():
        with contextlib.suppress(psutil.Error):  # it has just ended, or belongs to another user
            program = _program(process)
            if program and program.parent in folders and process.environ().get(VARIABLE) == run:
                programs.append(process)
    return programs


def end(programs: list[psutil.Process]) -> list[str]:
    """Terminate `programs`, and return their names with process ids, for a warning.

    Raises SlipwayError if a program does not end within PATIENCE_S.
    """
    names = []
    for process in programs:
        with contextlib.suppress(psutil.NoSuchProcess):
            program = _program(process)
            names.append(f"{program.name if program else 'a program'} (process {process.pid})")
            process.terminate()
    left = psutil.wait_procs(programs, timeout=PATIENCE_S)[1]
    if left:
        pids = " ".join(str(process.pid) for process in left)
        raise SlipwayError(
            f"a job of a run that was killed does not end (process {pids}), and would write over what is made now; "
            f"end it with: kill -9 {pids}"
        )
    return names


def _program(process: psutil.Process) -> Path | None:
    """Return the path of the Python script that a process runs; None if the process runs no script."""
    command = process.cmdline()
    if len(command) < 2 or not command[1].endswith(".py"):
        return None
    return Path(process.cwd(), command[1]).resolve()
