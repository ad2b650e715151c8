"""Time runs of Snakemake: a single run, or several cases in alternation."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.core.errors import SlipwayError

REPOSITORY = Path(__file__).resolve().parents[3]
SNAKEFILE = REPOSITORY / "Snakefile"


@dataclass(frozen=True)
class Case:
    """A command line of Snakemake and the folder in which it runs."""

    folder: Path
    snakefile: Path
    options: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """The duration (s) of a command and its complete output."""

    seconds: float
    output: str


def write_config(folder: Path, config: dict) -> None:
    """Write a configuration as config.yaml into a folder, where the workflow reads it."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def snakemake(case: Case) -> Outcome:
    """Run Snakemake as a user would. Raise SlipwayError with the command's output if it fails."""
    seconds, done = _timed(case, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SlipwayError(f"`snakemake {' '.join(case.options)}` failed; it said:\n{done.stdout}")
    return Outcome(seconds, done.stdout)


def watched(case: Case) -> float:
    """Return the duration (s) of a run with its messages on the terminal. Raise SlipwayError if it fails."""
    seconds, done = _timed(case, stdout=subprocess.DEVNULL, stderr=None)
    if done.returncode:
        raise SlipwayError(f"`snakemake {' '.join(case.options)}` failed; see above")
    return seconds


def _timed(case: Case, stdout: int, stderr: int | None) -> tuple[float, subprocess.CompletedProcess]:
    command = [str(Path(sys.executable).with_name("snakemake")), "-s", str(case.snakefile), "--cores", "1"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, *case.options],
        cwd=case.folder,
        stdout=stdout,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return round(time.perf_counter() - start, 3), done


def alternate(
    cases: dict[Any, Case], rounds: int, runner: Callable[[Case], Outcome] = snakemake
) -> dict[Any, list[Outcome]]:
    """Run every case once per round, in order; return the outcomes of each case.

    A first extra round is not counted: it only brings the files into the machine's page cache.
    """
    counted = [{name: runner(case) for name, case in cases.items()} for _ in range(rounds + 1)][1:]
    return {name: [outcomes[name] for outcomes in counted] for name in cases}
