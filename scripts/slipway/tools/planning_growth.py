"""Measure how the planning time grows with the entries of a configuration, by dry runs of synthetic configurations."""

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
    """The numbers of models, targets and precisions of a synthetic configuration; all are combined with each other."""

    models: int
    targets: int
    precisions: int

    @property
    def combinations(self) -> int:
        """Return the number of engines of the configuration."""
        return self.models * self.targets * self.precisions


# From 10 combinations on only the models grow, so that the number of jobs per combination is the same at each point.
SHAPES = (Shape(1, 1, 1), Shape(1, 5, 2), Shape(10, 5, 2), Shape(30, 5, 2))


def measure_growth(folder: Path, rounds: int) -> dict:
    """Return the times (s) of dry runs of growing configurations, and straight lines fitted to them."""
    cases = {shape: growing_case(folder / f"combinations-{shape.combinations}", shape) for shape in SHAPES}
    progress(f"dry runs of {' to '.join(str(shape.combinations) for shape in SHAPES)} combinations; rounds: {rounds}")
    points = [point(shape, outcomes) for shape, outcomes in alternate(cases, rounds).items()]
    seconds = [measured["median_seconds"] for measured in points]
    return {
        "points": points,
        "by_combinations": fit([measured["combinations"] for measured in points], seconds),
        "by_jobs": fit([measured["jobs"] for measured in points], seconds),
    }


def growing_case(folder: Path, shape: Shape) -> Case:
    """Write the configuration of a shape into a new folder. Return the dry run of all its artifacts."""
    folder.mkdir()
    write_config(folder, synthetic_config(shape))
    return Case(folder, SNAKEFILE, ("-n", "evidence"))


def synthetic_config(shape: Shape) -> dict:
    """Return a synthetic configuration of a shape. It declares hardware and TensorRT, so that nothing is detected."""
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
    """Return the measurements of one shape."""
    seconds = [outcome.seconds for outcome in outcomes]
    return {
        **asdict(shape),
        "combinations": shape.combinations,
        "jobs": planned_jobs(outcomes[0].output),
        "seconds": seconds,
        "median_seconds": statistics.median(seconds),
    }


def planned_jobs(output: str) -> int:
    """Return the total number of jobs in a dry run's table. Raise SlipwayError if the output has no such table."""
    match = re.search(r"^total +(\d+)$", output, re.MULTILINE)
    if not match:
        raise SlipwayError(f"the dry run shows no table of jobs that ends with their total; it said:\n{output}")
    return int(match[1])


def fit(counts: list[int], seconds: list[float]) -> dict:
    """Return the least-squares line through (count, seconds), and the largest relative deviation of a point."""
    slope, intercept = statistics.linear_regression(counts, seconds)
    deviations = [abs(intercept + slope * count - time) / time for count, time in zip(counts, seconds, strict=True)]
    return {
        "seconds_at_zero": round(intercept, 3),
        "seconds_each": round(slope, 5),
        "largest_relative_deviation": round(max(deviations), 3),
    }
