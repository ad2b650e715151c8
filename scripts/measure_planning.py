"""Measure what planning costs on this machine: runs with nothing to do against an empty workflow, and how it grows.

It works in a temporary folder, on a tiny model with random weights and on made-up entries, and leaves nothing running.
"""

import argparse
import datetime
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from slipway.artifacts import write_json
from slipway.errors import SlipwayError
from slipway.hardware import cpu
from slipway.program import parser, progress, run
from slipway.triton.server import Ports

REPOSITORY = Path(__file__).resolve().parents[1]
SNAKEFILE = REPOSITORY / "Snakefile"
ARCHITECTURE, CROP = "squeezenet1_1", 64
BUILT = ("results/tiny/profile/profile.json", "results/tiny/cpu/tiny.fp32.accuracy.json")
NOTHING = "Nothing to be done"
PRECISIONS = ("fp32", "fp16", "bf16")


@dataclass(frozen=True)
class Shape:
    """How many models, targets and precisions a configuration combines with each other."""

    models: int
    targets: int
    precisions: int

    @property
    def combinations(self) -> int:
        """Return how many engines that makes."""
        return self.models * self.targets * self.precisions


# From 10 on only the models grow, so that a combination comes to the same jobs at each of these points.
SHAPES = (Shape(1, 1, 1), Shape(1, 5, 2), Shape(10, 5, 2), Shape(30, 5, 2))


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


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=5, help="how often each command is measured, in turn")
    arguments.add_argument("--deploy", action="store_true", help="serve the tiny model and measure `deploy` as well")
    arguments.add_argument("--output", type=Path, required=True, help="JSON to write")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Measure both, write the record, show it."""
    if arguments.rounds < 1:
        raise SlipwayError(f"--rounds is {arguments.rounds}, but must be at least 1")
    with tempfile.TemporaryDirectory(prefix="slipway-planning-") as folder:
        record = {
            "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "cpu": cpu(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "snakemake": metadata.version("snakemake"),
            "against_an_empty_workflow": measure_against_empty(Path(folder), arguments.rounds, arguments.deploy),
            "growth": measure_growth(Path(folder), arguments.rounds),
        }
    write_json(arguments.output, record)
    progress(table(record))


# Against an empty workflow


def measure_against_empty(folder: Path, rounds: int, deploy: bool) -> dict:
    """Build a tiny model, then return what runs that find nothing to do take, and an empty workflow beside them."""
    built = write_tiny(folder / "tiny")
    goals = ("deploy",) if deploy else BUILT
    try:
        progress(f"building what is then up to date: {' '.join(goals)}")
        snakemake(Case(built, SNAKEFILE, goals))
        progress(f"runs with nothing to do, in turn; rounds: {rounds}")
        outcomes = alternate(cases_with_nothing_to_do(write_empty(folder / "empty"), built, deploy), rounds)
    finally:
        if deploy:
            snakemake(Case(built, SNAKEFILE, ("undeploy",)))
    require_nothing_to_do(outcomes)
    return summarise(outcomes)


def write_empty(folder: Path) -> Path:
    """Write a workflow whose one rule needs a file that is there; return its folder."""
    folder.mkdir()
    (folder / "present").touch()
    (folder / "Snakefile").write_text('rule all:\n    input:\n        "present",\n', encoding="utf-8")
    return folder


def write_tiny(folder: Path) -> Path:
    """Write a tiny model's checkpoint and configuration; return their folder."""
    folder.mkdir()
    write_random_checkpoint(folder / "random.pth")
    write_config(folder, tiny_config())
    return folder


def write_random_checkpoint(path: Path) -> None:
    """Write a state dict with seeded random weights, as a user's training would with torch.save."""
    import torch
    import torchvision

    torch.manual_seed(0)
    torch.save(torchvision.models.get_model(ARCHITECTURE, weights=None).state_dict(), path)


def write_config(folder: Path, config: dict) -> None:
    """Write a configuration where the workflow looks for it."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def tiny_config() -> dict:
    """Return a configuration that is quickly built, measured and served, on ports that nobody listens on."""
    ports = Ports.free()
    return {
        "models": {
            "tiny": {
                "architecture": ARCHITECTURE,
                "weights": "random.pth",
                "preprocess": {"resize": CROP, "crop": CROP},
            }
        },
        "targets": {"cpu": {"runtime": "openvino", "precisions": ["fp32"]}},
        "profile": {"steps": 1},
        "benchmark": {"batch_sizes": [1], "seconds": 0.1, "warmup_seconds": 0.05, "min_samples": 2},
        "load_test": {"concurrency": [1], "instances": [1], "max_batch_sizes": [2], "requests": 10},
        "deploy": {"http_port": ports.http, "grpc_port": ports.grpc, "metrics_port": ports.metrics},
    }


def cases_with_nothing_to_do(empty: Path, built: Path, deploy: bool) -> dict[str, Case]:
    """Return what is measured in turn, by name."""
    cases = {
        "empty": Case(empty, empty / "Snakefile", ()),
        "dry_run": Case(built, SNAKEFILE, ("-n", *BUILT)),
        "nothing_to_do": Case(built, SNAKEFILE, BUILT),
    }
    if deploy:
        cases["dry_run_of_deploy"] = Case(built, SNAKEFILE, ("-n", "deploy"))
        cases["deploy_with_nothing_to_do"] = Case(built, SNAKEFILE, ("deploy",))
    return cases


def require_nothing_to_do(outcomes: dict[str, list[Outcome]]) -> None:
    """Raise SlipwayError when a run that was to find everything up to date did not."""
    for name, several in outcomes.items():
        for outcome in several:
            if NOTHING not in outcome.said:
                raise SlipwayError(
                    f"the run '{name}' found something to do, so it measured more than planning; it said:\n"
                    f"{outcome.said}"
                )


def summarise(outcomes: dict[str, list[Outcome]]) -> dict:
    """Return every sample, the medians, and the medians over that of the empty workflow."""
    samples = {name: [outcome.seconds for outcome in several] for name, several in outcomes.items()}
    medians = {name: statistics.median(seconds) for name, seconds in samples.items()}
    return {
        "seconds": samples,
        "median_seconds": medians,
        "ratio_to_empty": {name: round(median / medians["empty"], 2) for name, median in medians.items()},
    }


# Growth


def measure_growth(folder: Path, rounds: int) -> dict:
    """Return what dry runs take of configurations with more and more entries, and straight lines through that."""
    cases = {shape: growing_case(folder / f"combinations-{shape.combinations}", shape) for shape in SHAPES}
    progress(f"dry runs of {' to '.join(str(shape.combinations) for shape in SHAPES)} combinations; rounds: {rounds}")
    points = [point(shape, outcomes) for shape, outcomes in alternate(cases, rounds).items()]
    seconds = [each["median_seconds"] for each in points]
    return {
        "points": points,
        "by_combinations": fit([each["combinations"] for each in points], seconds),
        "by_jobs": fit([each["jobs"] for each in points], seconds),
    }


def growing_case(folder: Path, shape: Shape) -> Case:
    """Write the configuration of a shape into a new folder; return the dry run of everything in it."""
    folder.mkdir()
    write_config(folder, made_up_config(shape))
    return Case(folder, SNAKEFILE, ("-n", "evidence"))


def made_up_config(shape: Shape) -> dict:
    """Return a configuration of so many entries, with everything declared that would else be looked for."""
    target = {
        "runtime": "tensorrt",
        "hardware": "NVIDIA L4 (compute capability 8.9)",
        "precisions": list(PRECISIONS[: shape.precisions]),
    }
    return {
        "models": {f"model{number}": {"architecture": "resnet50"} for number in range(shape.models)},
        "targets": {f"gpu{number}": {**target} for number in range(shape.targets)},
        "tensorrt": {"version": "10.13.3.9", "cuda": "cu12"},
    }


def point(shape: Shape, outcomes: list[Outcome]) -> dict:
    """Return what is known of one shape."""
    seconds = [outcome.seconds for outcome in outcomes]
    return {
        **asdict(shape),
        "combinations": shape.combinations,
        "jobs": planned_jobs(outcomes[0].said),
        "seconds": seconds,
        "median_seconds": statistics.median(seconds),
    }


def planned_jobs(said: str) -> int:
    """Return the total of the table of jobs that a dry run shows."""
    found = re.search(r"^total +(\d+)$", said, re.MULTILINE)
    if not found:
        raise SlipwayError(f"the dry run shows no table of jobs that ends with their total; it said:\n{said}")
    return int(found[1])


def fit(counts: list[int], seconds: list[float]) -> dict:
    """Return the straight line of least squares, and how far the point that is furthest from it lies."""
    slope, intercept = statistics.linear_regression(counts, seconds)
    deviations = [abs(intercept + slope * count - each) / each for count, each in zip(counts, seconds, strict=True)]
    return {
        "seconds_at_zero": round(intercept, 3),
        "seconds_each": round(slope, 5),
        "largest_relative_deviation": round(max(deviations), 3),
    }


# Running and showing


def snakemake(case: Case) -> Outcome:
    """Run Snakemake as a person would; raise SlipwayError with what it said when it fails."""
    command = [str(Path(sys.executable).with_name("snakemake")), "-s", str(case.snakefile), "--cores", "1"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, *case.options],
        cwd=case.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    seconds = round(time.perf_counter() - start, 3)
    if done.returncode:
        raise SlipwayError(f"`snakemake {' '.join(case.options)}` failed; it said:\n{done.stdout}")
    return Outcome(seconds, done.stdout)


def alternate(
    cases: dict[Any, Case], rounds: int, runner: Callable[[Case], Outcome] = snakemake
) -> dict[Any, list[Outcome]]:
    """Run every case once a round, in order; return the outcomes.

    A round before the first is not counted: it reads files that are in the machine's memory from then on.
    """
    counted = [{name: runner(case) for name, case in cases.items()} for _ in range(rounds + 1)][1:]
    return {name: [outcomes[name] for outcomes in counted] for name in cases}


def table(record: dict) -> str:
    """Return the record as a few lines for a person."""
    compared, growth = record["against_an_empty_workflow"], record["growth"]
    lines = [
        f"{name.replace('_', ' '):<26}{median:6.2f} s  {compared['ratio_to_empty'][name]:5.2f} x empty"
        for name, median in compared["median_seconds"].items()
    ]
    lines += [
        f"combinations {each['combinations']:4}  jobs {each['jobs']:5}  {each['median_seconds']:6.2f} s"
        for each in growth["points"]
    ]
    lines += [
        f"{line['seconds_at_zero']:.2f} s + {line['seconds_each'] * 1000:.1f} ms for each of the {name}; "
        f"no point is further than {line['largest_relative_deviation']:.0%} from that"
        for name, line in (("combinations", growth["by_combinations"]), ("jobs", growth["by_jobs"]))
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, parse_arguments())
