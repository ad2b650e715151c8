"""Programs that outlive the snakemake which started them: `kill -9` ends a workflow, but not the jobs that it runs."""

import contextlib
import os
from pathlib import Path

import psutil

from slipway.errors import SlipwayError

# A variable in the environment of each program that a workflow runs: the run that started it.
VARIABLE = "SLIPWAY_RUN"
# A deployment that is ended takes back first what it began.
PATIENCE_S = 60


def mark_programs_of(run: str) -> None:
    """Let every program that is started from here on be known as one of `run`."""
    os.environ[VARIABLE] = run


def programs_of(run: str | None, scripts: Path) -> list[psutil.Process]:
    """Return the programs of `scripts` that still run, of a workflow's run that has ended.

    What they started themselves is not among them, above all the live server, which is to stay.
    """
    return [process for process in psutil.process_iter() if run and _is_program_of(process, run, scripts)]


def end(programs: list[psutil.Process]) -> list[str]:
    """End programs, each in its own time, and return their names; raise SlipwayError if one does not end."""
    names = []
    for process in programs:
        with contextlib.suppress(psutil.NoSuchProcess):
            names.append(f"{_program(process).name} (process {process.pid})")
            process.terminate()
    left = psutil.wait_procs(programs, timeout=PATIENCE_S)[1]
    if left:
        pids = " ".join(str(process.pid) for process in left)
        raise SlipwayError(
            f"a job of a run that was killed does not end (process {pids}), and would write over what is made now; "
            f"end it with: kill -9 {pids}"
        )
    return names


def _is_program_of(process: psutil.Process, run: str, scripts: Path) -> bool:
    try:
        program = _program(process)
        return program is not None and program.parent == scripts.resolve() and process.environ().get(VARIABLE) == run
    except psutil.Error:
        return False  # it has just ended, or is somebody else's


def _program(process: psutil.Process) -> Path | None:
    """Return the Python program that a process runs, if it runs one."""
    command = process.cmdline()
    if len(command) < 2 or not command[1].endswith(".py"):
        return None
    return Path(process.cwd(), command[1]).resolve()
