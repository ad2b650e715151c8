"""How the time that planning takes grows with the entries of a configuration, from dry runs of made-up ones."""

import re
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.tools.snakemake_runs import SNAKEFILE, Case, Outcome, alternate, write_config

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
