"""Measure the precisions of a CPU with the workflow, for a random and for a pretrained network.

One benchmark of a model measures all precisions and PyTorch in turn. Triton serves each engine in a closed loop, and
the best engine also in an open loop.
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from slipway.classification.images import load_image, sample_photograph
from slipway.core.artifacts import read_json
from slipway.core.hardware import cpu_identity
from slipway.core.package_versions import ABSENT
from slipway.keys.precisions import refusal
from slipway.tools.snakemake_runs import REPOSITORY, snakemake, without_samples, write_config

TARGET, RUNTIME = "cpu", "openvino"
PRECISIONS = ("fp32", "bf16", "int8")
EXAMPLE = REPOSITORY / "docs" / "examples" / "efficientnet_lite0" / "config.yaml"
# Where `make demo` puts the pretrained weights, their package and their labels.
DOWNLOADED = REPOSITORY / "checkpoints"
CHOICE = "selection.json"
AGREEMENT = ("min_cosine", "relative_error", "top1_agreement")
# The number of photographs for INT8 calibration. The speed of INT8 does not depend on it.
PHOTOGRAPHS = 32
BENCHMARK = {"batch_sizes": [1, 8], "seconds": 2, "warmup_seconds": 0.5, "budget_seconds": 12}
LOAD = {"concurrency": [4], "instances": [1], "max_batch_sizes": [8], "requests": 100, "capacity_minutes": 1}


def measure(workplace: Path, config: dict, photographs: Path | None) -> dict[str, dict]:
    """Run the workflow, and return {model: figures} for the models in `config` and for the pretrained model.

    `config` is the parsed config.yaml of the project. The figures are those of `figures`, with "calibrated_on" (text).
    `photographs` is a folder for INT8 calibration; with None, crops of the sample photograph are used. `workplace` is
    the working folder. If it has results of an earlier run, the workflow uses them again.
    """
    (workplace / "checkpoints").symlink_to(DOWNLOADED)
    images = workplace / "photographs"
    if photographs:
        images.symlink_to(photographs.resolve())
    else:
        write_crops(images)
    models = config["models"] | yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["models"]
    precisions = available()
    calibration = {**config["calibration"], "images": images.name, "max_samples": PHOTOGRAPHS}
    targets = {TARGET: {"runtime": RUNTIME, "precisions": precisions}}
    here = {**config, "models": models, "targets": targets, "calibration": calibration}
    here |= {"benchmark": {**config["benchmark"], **BENCHMARK}, "load_test": {**config["load_test"], **LOAD}}
    write_config(workplace, here)
    records = [f"results/{model}/{TARGET}/{file}" for model in models for file in (f"{model}.benchmark.json", CHOICE)]
    snakemake(workplace, "--", *records, shown=True)
    calibrated = "photographs" if photographs else "crops of the sample photograph"
    return {model: {"calibrated_on": calibrated, **figures(workplace, model, precisions)} for model in models}


def available() -> list[str]:
    """Return the precisions that this CPU supports."""
    return [name for name in PRECISIONS if not refusal(RUNTIME, ABSENT, cpu_identity(), name)]


def write_crops(folder: Path) -> None:
    """Write different crops of the sample photograph into a folder, as many as calibration needs."""
    folder.mkdir()
    image = load_image(sample_photograph())
    side = min(image.size) // 2
    width, height = (size - side for size in image.size)
    for number in range(PHOTOGRAPHS):
        left, top = width * (number % 4) // 3, height * (number // 4) // (PHOTOGRAPHS // 4 - 1)
        image.crop((left, top, left + side, top + side)).save(folder / f"{number}.png")


def figures(workplace: Path, model: str, precisions: Sequence[str]) -> dict:
    """Return the measured figures of a model, from the records in the working folder.

    The result is {"origin": where the weights are from, "agreement": {precision: figures of AGREEMENT, compared with
    PyTorch}, "benchmark": its record, "closed_loop": [one dict per measured point of the load test], "chosen": see
    `chosen`}.
    """
    folder = workplace / "results" / model / TARGET
    benchmark = read_json(folder / f"{model}.benchmark.json")
    accuracy = {name: read_json(folder / f"{model}.{name}.accuracy.json") for name in precisions}
    return {
        "origin": benchmark["origin"],
        "agreement": {
            name: {figure: record["sample"][figure] for figure in AGREEMENT} for name, record in accuracy.items()
        },
        "benchmark": without_samples(benchmark),
        "closed_loop": read_json(folder / "analysis" / "analysis.json")["measurements"],
        "chosen": chosen(folder),
    }


def chosen(folder: Path) -> dict:
    """Return the configuration that the load test chose, from selection.json in `folder`, for a record.

    The result is {"configuration": {"precision", "max_batch_size", "instances"}, "p99_limit_ms", "closed_loop": its
    throughput, p99 and verdict with a fixed number of requests in flight, "open_loop": its capacity for requests at
    random times, or None if no capacity was measured}.
    """
    selection = read_json(folder / CHOICE)
    measured, capacity = selection["measured"], selection["capacity"] or {}
    closed = ("throughput_per_s", "p99_ms", "concurrency", "verdict")
    names = ("capacity_per_s", "holds_at", "breaks_at", "limited_by", "verdict", "why", "words")
    return {
        "configuration": {name: selection[name] for name in ("precision", "max_batch_size", "instances")},
        "p99_limit_ms": selection["limits"]["p99_ms"],
        "closed_loop": {name: measured[name] for name in closed},
        "open_loop": {name: capacity[name] for name in names} if capacity else None,
    }
