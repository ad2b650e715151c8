"""Runs of Snakemake that are timed, one alone or several in turn."""

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
    """How long a command took and everything that it said."""

    seconds: float
    said: str


def write_config(folder: Path, config: dict) -> None:
    """Write a configuration where the workflow looks for it."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def snakemake(case: Case) -> Outcome:
    """Run Snakemake as a person would; raise SlipwayError with what it said when it fails."""
    seconds, done = _timed(case, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SlipwayError(f"`snakemake {' '.join(case.options)}` failed; it said:\n{done.stdout}")
    return Outcome(seconds, done.stdout)


def watched(case: Case) -> float:
    """Return the seconds of a run whose messages a person sees as they come; raise SlipwayError when it fails."""
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
    """Run every case once a round, in order; return the outcomes.

    A round before the first is not counted: it reads files that are in the machine's memory from then on.
    """
    counted = [{name: runner(case) for name, case in cases.items()} for _ in range(rounds + 1)][1:]
    return {name: [outcomes[name] for outcomes in counted] for name in cases}
