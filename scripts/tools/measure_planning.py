"""Measure how long Snakemake plans: runs with nothing to do, an empty workflow, and growing configurations.

The program works in a temporary folder, with a tiny model of random weights and with synthetic configurations. It
leaves no process running.
"""

import argparse
import platform
import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import metadata
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.tools.snakemake_runs import Outcome, alternate, machine, snakemake, write_checkpoint, write_config
from slipway.triton.client.ports import Ports

ARCHITECTURE, CROP = "squeezenet1_1", 64
BUILT = ("results/tiny/profile/profile.json", "results/tiny/cpu/tiny.fp32.accuracy.json")
NOTHING = "Nothing to be done"
PRECISIONS = ("fp32", "fp16", "bf16")


# (models, targets, precisions) of synthetic configurations. Each model is built for each target and precision. From 10
# combinations on, only the number of models grows, so that the number of jobs per combination stays the same.
SHAPES = ((1, 1, 1), (1, 5, 2), (10, 5, 2), (30, 5, 2))


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "output")
    arguments.add_argument("--rounds", type=int, default=5, help="how often each command is measured, in turn")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Measure the planning times, write them to the file --output as JSON, and print them as a table."""
    if arguments.rounds < 1:
        raise SlipwayError(f"--rounds is {arguments.rounds}, but must be at least 1")
    with tempfile.TemporaryDirectory(prefix="slipway-planning-") as folder:
        record = {
            **machine(),
            "python": platform.python_version(),
            "snakemake": metadata.version("snakemake"),
            "against_an_empty_workflow": measure_against_empty(Path(folder), arguments.rounds),
            "growth": measure_growth(Path(folder), arguments.rounds),
        }
    write_json(arguments.output, record)
    progress(table(record))


def measure_against_empty(folder: Path, rounds: int) -> dict:
    """Measure runs with nothing to do, in turn with an empty workflow, so that only Slipway's planning differs.

    For this, a tiny model is built and served in `folder`. Returns the times (s) and their ratios to the times of the
    empty workflow, as `summarise` returns them.
    """
    built = write_tiny(folder / "tiny")
    try:
        progress("building and deploying a tiny model, which is then up to date")
        snakemake(built, "deploy")
        progress(f"runs with nothing to do, in turn; rounds: {rounds}")
        outcomes = alternate(runs_with_nothing_to_do(write_empty(folder / "empty"), built), rounds)
    finally:
        snakemake(built, "undeploy")
    require_nothing_to_do(outcomes)
    return summarise(outcomes)


def write_empty(folder: Path) -> Path:
    """Write a workflow into `folder` whose only rule needs an existing file. Return the folder."""
    folder.mkdir()
    (folder / "present").touch()
    (folder / "Snakefile").write_text('rule all:\n    input:\n        "present",\n', encoding="utf-8")
    return folder


def write_tiny(folder: Path) -> Path:
    """Write the configuration and the checkpoint of a tiny model into `folder`. Return the folder."""
    write_config(folder, tiny_config())
    write_checkpoint(folder / "random.pth", ARCHITECTURE, seed=0)
    return folder


def tiny_config() -> dict:
    """Return the content of config.yaml for a tiny model that is quick to build, measure and serve, on free ports."""
    ports = Ports.free()
    tiny = {"architecture": ARCHITECTURE, "weights": "random.pth", "preprocess": {"resize": CROP, "crop": CROP}}
    short = {"seconds": 0.1, "warmup_seconds": 0.05, "min_samples": 2, "budget_seconds": 1}
    return {
        "models": {"tiny": tiny},
        "targets": {"cpu": {"runtime": "openvino", "precisions": ["fp32"]}},
        "profile": {"steps": 1},
        "benchmark": {"batch_sizes": [1], **short},
        "load_test": {"concurrency": [1], "instances": [1], "max_batch_sizes": [2], "requests": 10},
        "deploy": {"http_port": ports.http, "grpc_port": ports.grpc, "metrics_port": ports.metrics},
    }


def runs_with_nothing_to_do(empty: Path, built: Path) -> dict[str, Callable[[], Outcome]]:
    """Return {name of the run: function that runs Snakemake once} for the runs to measure in turn.

    `empty` is the folder of the empty workflow, whose run is named "empty". `built` is the folder of the built model.
    """
    options = {"dry_run": ("-n", *BUILT), "nothing_to_do": BUILT}
    options |= {"dry_run_of_deploy": ("-n", "deploy"), "deploy_with_nothing_to_do": ("deploy",)}
    runs = {name: partial(snakemake, built, *given) for name, given in options.items()}
    return {"empty": partial(snakemake, empty, snakefile=empty / "Snakefile"), **runs}


def require_nothing_to_do(outcomes: dict[str, list[Outcome]]) -> None:
    """Raise SlipwayError if a run had something to do, since then it measured more than planning.

    `outcomes` is {name of the run: its outcomes}.
    """
    for name, outcome in ((name, outcome) for name, several in outcomes.items() for outcome in several):
        if NOTHING not in outcome.output:
            raise SlipwayError(
                f"the run '{name}' found something to do, so it measured more than planning; it said:\n{outcome.output}"
            )


def summarise(outcomes: dict[str, list[Outcome]]) -> dict:
    """Return the times of runs for the record, and compare them with the run named "empty".

    `outcomes` is {name of the run: its outcomes}. The result is {"seconds": {run: [s]}, "median_seconds": {run: s},
    "ratio_to_empty": {run: its median / the median of "empty"}}.
    """
    samples = {name: [outcome.seconds for outcome in several] for name, several in outcomes.items()}
    medians = {name: statistics.median(seconds) for name, seconds in samples.items()}
    return {
        "seconds": samples,
        "median_seconds": medians,
        "ratio_to_empty": {name: round(median / medians["empty"], 2) for name, median in medians.items()},
    }


def measure_growth(folder: Path, rounds: int) -> dict:
    """Measure how the time of a dry run grows with the configuration. Return {"points": [a dict for each of SHAPES]}.

    The function `point` makes the dicts. The configurations are written into subfolders of `folder`.
    """
    runs = {}
    for shape in SHAPES:
        place = folder / f"combinations-{prod(shape)}"
        write_config(place, synthetic_config(*shape))
        runs[shape] = partial(snakemake, place, "-n", "evidence")
    progress(f"dry runs of {' to '.join(str(prod(shape)) for shape in SHAPES)} combinations; rounds: {rounds}")
    return {"points": [point(shape, outcomes) for shape, outcomes in alternate(runs, rounds).items()]}


def synthetic_config(models: int, targets: int, precisions: int) -> dict:
    """Return the content of a config.yaml with this many models, targets and precisions per target.

    A target is a kind of GPU. The configuration states the hardware and TensorRT, so planning detects nothing.
    """
    hardware = "NVIDIA L4 (compute capability 8.9)"
    target = {"runtime": "tensorrt", "hardware": hardware, "precisions": list(PRECISIONS[:precisions])}
    return {
        "models": {f"model{number}": {"architecture": "resnet50"} for number in range(models)},
        "targets": {f"gpu{number}": {**target} for number in range(targets)},
        "tensorrt": {"version": "10.13.3.9", "cuda": "cu12"},
    }


def point(shape: tuple[int, int, int], outcomes: list[Outcome]) -> dict:
    """Return the figures of one configuration's dry runs for the record.

    `shape` is (number of models, targets, precisions). The result is {"models", "targets", "precisions",
    "combinations": their product, "jobs": number of planned jobs, "seconds": [time of each dry run], "median_seconds"}.
    """
    seconds = [outcome.seconds for outcome in outcomes]
    return {
        **dict(zip(("models", "targets", "precisions"), shape, strict=True)),
        "combinations": prod(shape),
        "jobs": planned_jobs(outcomes[0].output),
        "seconds": seconds,
        "median_seconds": statistics.median(seconds),
    }


def planned_jobs(output: str) -> int:
    """Return the total number of jobs in a dry run. `output` is the dry run's output, which ends with a table of jobs.

    Raises SlipwayError if the output has no such table.
    """
    match = re.search(r"^total +(\d+)$", output, re.MULTILINE)
    if not match:
        raise SlipwayError(f"the dry run shows no table of jobs that ends with their total; it said:\n{output}")
    return int(match[1])


def table(record: dict) -> str:
    """Return the measured times as lines of text: one line for each run and for each size of a configuration.

    `record` is the content of the file --output; "against_an_empty_workflow" and "growth" are shown.
    """
    compared = record["against_an_empty_workflow"]
    lines = [
        f"{name.replace('_', ' '):<26}{median:6.2f} s  {compared['ratio_to_empty'][name]:5.2f} x empty"
        for name, median in compared["median_seconds"].items()
    ]
    lines += [
        f"combinations {point['combinations']:4}  jobs {point['jobs']:5}  {point['median_seconds']:6.2f} s"
        for point in record["growth"]["points"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, parse_arguments())
