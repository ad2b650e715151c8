"""Measure the baseline and every engine of a target in turns, in one job on one machine, on real samples."""

import argparse
import os
import platform
import traceback
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from slipway.benchmark import comparison
from slipway.benchmark.cpu_subjects import cpu_subjects
from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.benchmark.gpu_subjects import gpu_subjects, torch_settings
from slipway.benchmark.measurement import Measure
from slipway.benchmark.results import conclusions, disturbed, line_of, result_of, results_of, series_of
from slipway.benchmark.rounds import METHOD, ROUNDS, merged, take_turns
from slipway.benchmark.timing import KEPT_SAMPLES, Effort, thin
from slipway.contract.archives import read_samples
from slipway.contract.batches import batch_of, require_taken_batches
from slipway.contract.contract import Contract, Tensors
from slipway.core.artifacts import read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.hardware import cpu, is_gpu, require_hardware, usable_cores
from slipway.core.job_settings import add_planned, settings_of
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.pytorch import torch
from slipway.core.setting_options import add_settings
from slipway.core.steadiness import DISTURBED
from slipway.engines.engine_artifact import BuiltEngine
from slipway.models.canonical import load_model

# Subjects that a machine may lack. The reason is recorded, and the other subjects are measured.
OPTIONAL = {comparison.ONNX_RUNTIME, comparison.PYTORCH_FP16}
# The effort for the smallest and the largest size of the dynamic axes.
SHORT = Effort(seconds=0.5, warmup_seconds=0.1, min_samples=10, budget_seconds=5)
QUANTITIES = {
    "gpu": "between two CUDA events around one forward pass, input and output on the GPU, GPU idle before; "
    "includes the GPU's waits for the host to enqueue",
    "enqueue": "host time of the call that enqueues the forward pass",
    "h2d": "between CUDA events, input from pinned host memory to the GPU",
    "d2h": "between CUDA events, output from the GPU to pinned host memory",
    "end_to_end": "host clock, from input in host memory (pinned, for a GPU) to output in host memory",
    "*_graph": "the same with the forward pass replayed as a CUDA graph",
    "throughput_per_s": "inferences/s by number of CUDA streams, input on the GPU, batches enqueued ahead: PyTorch's "
    "all before one wait, an engine's many per stream before each wait; on a CPU, one call after the other",
    "throughput_with_transfers_per_s": "the same of an engine with input and output in pinned host memory, as a CUDA "
    "graph where there is one",
    "device_memory_bytes": "PyTorch: the peak of its tensors, of all streams; an engine, for one "
    "stream: its file, one execution context's activations, input and output of the largest batch",
}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    common = ("weights", "weights_record", "engine_records", "interface", "samples", "hardware")
    arguments = parser(__doc__, *common, output="JSON to write, raw samples included")
    arguments.add_argument("--onnx", type=Path, help="FP32 ONNX file, for ONNX Runtime on a GPU that has it")
    effort = ("seconds", "warmup_seconds", "min_samples", "budget_seconds")
    add_settings(arguments, "benchmark", "batch_sizes", *effort, "streams")
    add_planned(arguments, "torch_version")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if not this one")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Measure every subject (baseline and engines) at every batch size in turns, compare them, and write the record."""
    require_hardware(arguments.hardware)
    monitor = GpuMonitor() if is_gpu(arguments.hardware) else None
    weights, contract = read_json(arguments.weights_record), Contract.read(arguments.interface)
    built = {built.record["key"]["precision"]: built for built in map(BuiltEngine.of_record, arguments.engine_records)}
    # Without a batch axis, there are only single requests.
    batches = arguments.batch_sizes if contract.batched else [1]
    for engine in built.values():
        engine.require_batches(batches, f"`benchmark.batch_sizes` is {batches}")
    require_taken_batches(weights, batches, "benchmark.batch_sizes")
    real = read_samples(arguments.samples)
    effort = Effort(arguments.seconds, arguments.warmup_seconds, arguments.min_samples, arguments.budget_seconds)
    surroundings = environment(monitor)
    with ExitStack() as stack:
        engines = {
            name: (engine, stack.enter_context(engine.loaded(arguments.tensorrt_python)))
            for name, engine in built.items()
        }
        subjects = subjects_of(arguments, weights, contract, engines)
        inputs = {batch: batch_of(contract, real, batch) for batch in batches}
        results, samples, left_out = measure_all(subjects, inputs, effort, monitor)
        sizes = by_size({name: subjects[name] for name in subjects if is_required(name, subjects)}, contract, real)
    axes = "".join(f", {name} {size}" for name, size in contract.optimum.items())
    record = {
        "origin": weights["origin"],
        "key": settings_of(arguments),
        "engines": {name: engine.record["key"] for name, engine in built.items()},
        "inputs": f"real samples of {' and '.join(tensor.in_words() for tensor in contract.inputs)}{axes}",
        "quantities": QUANTITIES,
        "results": results,
        "method": METHOD,
        "disturbed": disturbed(results),
        "left_out": left_out,
        "by_size": sizes,
        **conclusions(results, built),
        "environment": surroundings,
        "samples_kept_at_most": KEPT_SAMPLES,
        "samples_ms": samples,
    }
    write_json(arguments.output, record)
    if record["disturbed"]:
        more = " or with more `benchmark.budget_seconds`" if any(result["not_reached"] for result in results) else ""
        everything = all(result["intervals"]["verdict"] == DISTURBED for result in results)
        named = "all figures" if everything else "; ".join(record["disturbed"])
        progress(f"  disturbed, measure again on a quiet machine{more}: {named}")


def subjects_of(
    arguments: argparse.Namespace, weights: dict, contract: Contract, engines: dict[str, tuple[BuiltEngine, Any]]
) -> dict[str, Measure]:
    """Return {subject: function that measures it} on the target's hardware. The first subject is the baseline.

    The baseline is PyTorch, or ONNX Runtime if the model is an ONNX file alone. A function takes the inputs of one
    request and an Effort, and returns a measurement as a dict. `weights` is the record of the checkpoint. `engines` is
    {precision: (engine on disk, loaded engine)}.
    """
    torch.set_num_threads(usable_cores())
    model = load_model(arguments.weights, weights)
    if is_gpu(arguments.hardware):
        return gpu_subjects(model, contract, engines, arguments.streams, arguments.onnx)
    return cpu_subjects(model, contract, engines, arguments.onnx)


def is_required(name: str, subjects: Iterable[str]) -> bool:
    """Return whether a failed measurement of the subject `name` fails the job: true for an engine and for the baseline.

    The other subjects are only left out of the record.
    """
    return name not in OPTIONAL or name == comparison.baseline_of(subjects)


def measure_all(
    subjects: dict[str, Measure], inputs: dict[int, Tensors], effort: Effort, monitor: GpuMonitor | None
) -> tuple[list[dict], dict[str, list[float]], dict[str, str]]:
    """Measure all subjects at all batch sizes, in turns.

    `inputs` is {batch size: inputs of a request}. Returns (results, {"subject/batch/quantity": samples (ms)}, {subject
    that was left out: the reason}). The results are one dict for each subject and batch size, as `results_of` returns.
    On a GPU, PyTorch and ONNX Runtime load the network again in each of their turns. So the GPU memory holds only one
    of the two at a time, beside the engines.
    """
    results: list[dict] = []
    samples: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}

    def measure_once(name: str, tensors: Tensors) -> dict | None:
        try:
            with monitor.watching() if monitor else nullcontext():
                measured = subjects[name](tensors, effort.of_a_round(ROUNDS))
        except SlipwayError as error:
            if is_required(name, subjects):
                raise
            traceback.print_exc()
            progress(f"  {name} is left out: {error}")
            left_out[name] = str(error)
            return None
        return {**measured, "gpu_readings": monitor.readings if monitor else []}

    for batch, tensors in inputs.items():
        turns = {name: partial(measure_once, name, tensors) for name in subjects if name not in left_out}
        rounds = take_turns(turns, partial(is_steady, batch), effort.budget_seconds * len(turns))
        for name, figures in rounds.items():
            for quantity, values in series_of(merged(figures)).items():
                samples[f"{name}/{batch}/{quantity}"] = thin(values)
        measured = results_of(batch, rounds, effort.min_samples)
        for result in measured:
            progress(line_of(result, measured))
        results += measured
    return results, samples, left_out


def is_steady(batch: int, rounds: Mapping[str, list[dict]]) -> bool:
    """Say whether the measurements so far at one batch size are steady, so that no further round is needed.

    `rounds` is {subject: its measurements}. Steady means that no figure and no ratio of two subjects is disturbed.
    """
    return not disturbed(results_of(batch, rounds, min_samples=0))


def by_size(subjects: dict[str, Measure], contract: Contract, samples: list[Tensors]) -> list[dict]:
    """Measure single requests at the smallest and at the largest sizes of the dynamic axes. Return the results.

    A result is the dict of `result_of`, with {axis: size} as "axes". Without dynamic axes, the list is empty.
    """
    ends = [{name: getattr(axis, end) for name, axis in contract.axes.items()} for end in ("min", "max")]
    return [
        {"axes": axes, **result_of(name, 1, measure(batch_of(contract, samples, 1, axes), SHORT))}
        for axes in (ends if contract.axes else [])
        for name, measure in subjects.items()
    ]


def environment(monitor: GpuMonitor | None) -> dict:
    """Return the conditions of the measurements: "cpu", "threads", "load_average_1min", and versions of packages.

    On a GPU target, the dict also has "gpu", the facts of `monitor`, and PyTorch's settings (see `torch_settings`). On
    a CPU target, `monitor` is None.
    """
    versions = [version for version in map(package_version, ("onnxruntime-gpu", "onnxruntime")) if version != ABSENT]
    facts = {
        "cpu": cpu(),
        "threads": usable_cores(),
        "load_average_1min": os.getloadavg()[0],
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": next(iter(versions), None),
        "numpy": np.__version__,
    }
    if monitor is None:
        return facts
    return {**facts, "gpu": monitor.facts(), **torch_settings()}


if __name__ == "__main__":
    run(main, parse_arguments())
