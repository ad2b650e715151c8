"""Measure the duration of Snakemake runs: a single run, or several cases in alternation."""

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.core.clock import utc_now
from slipway.core.errors import SlipwayError
from slipway.core.hardware import cpu

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Outcome:
    """The duration (s) of a command and its complete output."""

    seconds: float
    output: str


def now() -> dict:
    """Return {"measured_at": the present time in UTC, as text}, an entry for the record of a measurement."""
    return {"measured_at": utc_now()}


def machine() -> dict:
    """Return the entries of a measurement's record that describe this machine.

    They are {"measured_at": time, "cpu": {"name", "architecture", "instruction_sets", "cores"}, "platform": text}.
    """
    return now() | {"cpu": cpu(), "platform": platform.platform()}


def write_config(folder: Path, config: dict) -> None:
    """Write `config` as config.yaml into `folder`, the working directory of a run. Create a missing folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def write_checkpoint(path: Path, architecture: str, seed: int) -> None:
    """Write the state dict of torchvision's network `architecture` with random weights, as a user's training would."""
    import torch
    import torchvision

    torch.manual_seed(seed)
    torch.save(torchvision.models.get_model(architecture, weights=None).state_dict(), path)


def without_samples(benchmark: dict) -> dict:
    """Return a benchmark's record, the JSON of benchmark.json, without its raw samples ("samples_ms").

    The samples remain in the benchmark's own file.
    """
    return {name: value for name, value in benchmark.items() if name != "samples_ms"}


def snakemake(folder: Path, *options: str, snakefile: Path = REPOSITORY / "Snakefile", shown: bool = False) -> Outcome:
    """Run Snakemake in `folder` on one core, as a user would, and return its duration (s) and output.

    `options` are its options and targets. With `shown`, the messages go to the terminal, and the returned output is "".
    Raises SlipwayError with the output if Snakemake fails.
    """
    command = [str(Path(sys.executable).with_name("snakemake")), "-s", str(snakefile), "--cores", "1", *options]
    stdout, stderr = (subprocess.DEVNULL, None) if shown else (subprocess.PIPE, subprocess.STDOUT)
    start = time.perf_counter()
    done = subprocess.run(
        command, check=False, cwd=folder, encoding="utf-8", errors="replace", stdout=stdout, stderr=stderr
    )
    seconds = round(time.perf_counter() - start, 3)
    if done.returncode:
        messages = f"see above, and the logs in {folder / 'logs'}" if shown else f"it said:\n{done.stdout}"
        raise SlipwayError(f"`snakemake {' '.join(options)}` failed; {messages}")
    return Outcome(seconds, done.stdout or "")


def alternate(runs: Mapping[Any, Callable[[], Outcome]], rounds: int) -> dict[Any, list[Outcome]]:
    """Time several runs in turn, so that a change of the machine's speed affects all; return {name: its outcomes}.

    `runs` is {name: function that runs once}. Each is called once in each of `rounds` rounds. A first extra round is
    not counted, because it fills the machine's page cache.
    """
    counted = [{name: run() for name, run in runs.items()} for _ in range(rounds + 1)][1:]
    return {name: [outcomes[name] for outcomes in counted] for name in runs}
