"""Run a model under PyTorch's profiler: write a trace, and summarise it."""

import argparse
import contextlib
import gzip
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.contract.archives import read_samples
from slipway.contract.batches import batch_of
from slipway.contract.contract import Contract
from slipway.contract.network import ServedNetwork, tensor_of
from slipway.core.artifacts import atomic_write, read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.hardware import usable_cores
from slipway.core.job_settings import about_weights, add_planned
from slipway.core.pytorch import torch
from slipway.core.setting_options import add_settings
from slipway.core.templates import document
from slipway.models.canonical import load_model

# Parts of the names of operators that compute, that only dispatch or allocate, and that a runtime can fuse into others.
COMPUTE = ("conv", "mm", "aten::linear", "matmul", "bmm", "attention")
DISPATCH = ("empty", "view", "reshape", "flatten", "as_strided", "permute", "transpose", "expand", "select", "slice")
FOLDABLE = ("batch_norm", "relu", "clamp", "add_", "hardtanh", "silu", "hardswish")
# The profiler's own events on a GPU.
OF_THE_PROFILER = ("Activity Buffer Request",)


@dataclass(frozen=True)
class Seconds:
    """The seconds that all profiled forward passes took together."""

    wall: float
    cpu: float  # CPU time of all threads
    profiled_wall: float  # wall time of the same passes under the profiler, which slows them down


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    common = ("weights", "weights_record", "interface", "samples", "record")
    arguments = parser(__doc__, *common, trace="trace to write (.json.gz)")
    arguments.add_argument("--inputs", help="what config.yaml states of the inputs and outputs, for the record")
    add_settings(arguments, "profile", "batch_size", "steps")
    add_planned(arguments, "torch_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Profile the model on the GPU or, without a GPU, on the CPU. Write the trace and the record."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(usable_cores())
    weights = read_json(arguments.weights_record)
    contract = Contract.read(arguments.interface)
    network = ServedNetwork(load_model(arguments.weights, weights), contract).to(device)
    batch = batch_of(contract, read_samples(arguments.samples), arguments.batch_size)
    inputs = [tensor_of(batch[tensor.name]).to(device) for tensor in contract.inputs]
    profiled, seconds = profile(network, inputs, arguments.steps)
    with atomic_write(arguments.trace) as partial:
        write_trace(profiled, partial)
    summary = summarise(profiled.key_averages(), device, seconds)
    record = {
        **about_weights(arguments, weights),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "batch_size": arguments.batch_size if contract.batched else 1,
        "steps": arguments.steps,
        "threads": usable_cores(),
        "step_ms": round(seconds.wall / arguments.steps * 1e3, 3),
        **summary,
        "advice": advise(summary, device, arguments.batch_size if contract.batched else None),
    }
    write_json(arguments.record, record)
    on_gpu = f", {summary['gpu_utilisation']:.0%} of it on the GPU" if device == "cuda" else ""
    progress(f"  {record['step_ms']:.1f} ms a step{on_gpu}; most of that in {record['operators'][0]['name']}")
    for line in record["advice"]:
        progress(f"  {line}")


def write_trace(profiled: torch.profiler.profile, path: Path) -> None:
    """Write a profile's events to `path` as compressed JSON in Chrome's trace format.

    PyTorch does not escape paths, so a quote in the name of a folder would break the JSON. So PyTorch writes to a plain
    path, and the folders of the profiled code are escaped afterwards.
    """
    folders = {str(Path.cwd()), *sys.path}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        profiled.export_chrome_trace("trace.json")
        events = Path("trace.json").read_text(encoding="utf-8", errors="replace")
    for folder in sorted(filter(None, folders), key=len, reverse=True):
        events = events.replace(folder, json.dumps(folder, ensure_ascii=False)[1:-1])
    path.write_bytes(gzip.compress(events.encode(), mtime=0))


def profile(model: torch.nn.Module, inputs: list[torch.Tensor], steps: int) -> tuple[torch.profiler.profile, Seconds]:
    """Run `steps` forward passes, without and with PyTorch's profiler. Return (profile, seconds of these passes)."""
    from torch.profiler import ProfilerActivity

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * inputs[0].is_cuda
    with torch.inference_mode():
        timed(model, inputs, steps)
        wall, cpu = timed(model, inputs, steps)
        with torch.profiler.profile(
            activities=activities, record_shapes=True, profile_memory=True, with_stack=True, acc_events=True
        ) as profiled:
            profiled_wall, _ = timed(model, inputs, steps)
    return profiled, Seconds(wall, cpu, profiled_wall)


def timed(model: torch.nn.Module, inputs: list[torch.Tensor], steps: int) -> tuple[float, float]:
    """Run `steps` forward passes to their end. Return (wall time, CPU time of all threads) in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        model(*inputs)
    if inputs[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def summarise(events: Any, device: str, seconds: Seconds) -> dict:
    """Return a summary of a profile: the time by operator ("operators"), and shares (0..1) of the time.

    `events` are the profile's averages by operator. `device` is "cuda" or "cpu".

    `cpu_utilisation` is CPU time / (wall time * cores). `gpu_utilisation` is time in kernels / wall time; None on a
    CPU. `launch_overhead` is, on a GPU, the share of cudaLaunchKernel; on a CPU, the share of Python and of operators
    that only dispatch or allocate. `compute_share` and `foldable_share` are the shares of the operators named in
    COMPUTE and FOLDABLE. The profiler slows down the host, but no kernels. So times of the host are relative to the
    wall time under the profiler. Times of kernels are relative to the wall time without the profiler.
    """
    # Two events have a kernel's time: the kernel, and the operator that launched it. Only the operator counts.
    events = [event for event in events if event.device_type.name == "CPU" and event.key not in OF_THE_PROFILER]
    on_gpu = device == "cuda"
    attribute = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    times = {event.key: getattr(event, attribute) / 1e6 for event in events}
    wall = seconds.wall if on_gpu else seconds.profiled_wall
    operators = [
        {
            "name": event.key,
            "calls": event.count,
            "self_ms": round(times[event.key] * 1e3, 3),
            "share": round(times[event.key] / wall, 4),
            "memory_bytes": event.self_cpu_memory_usage,
        }
        for event in sorted(events, key=lambda event: -times[event.key])
        if times[event.key] > 0
    ]
    own = {event.key: event.self_cpu_time_total / 1e6 for event in events}
    computing = sum(time for name, time in own.items() if name.startswith("aten::") and not _is(name, DISPATCH))
    launches = sum(time for name, time in own.items() if name.startswith("cudaLaunch"))
    overhead = launches if on_gpu else max(0.0, wall - computing)
    return {
        "cpu_utilisation": round(seconds.cpu / seconds.wall / usable_cores(), 4),
        "gpu_utilisation": round(min(1.0, sum(times.values()) / wall), 4) if on_gpu else None,
        "launch_overhead": round(overhead / seconds.profiled_wall, 4),
        "compute_share": round(sum(times[name] for name in times if _is(name, COMPUTE)) / wall, 4),
        "foldable_share": round(sum(times[name] for name in times if _is(name, FOLDABLE)) / wall, 4),
        "operators": operators[:30],
    }


def advise(summary: dict, device: str, batch: int | None) -> list[str]:
    """Return sentences of advice on a profile, each with its figure.

    `summary` is the dict of `summarise`. `batch` is the batch size; None without a batch axis.
    """
    values = {**summary, "device": device, "batch": batch, "cores": usable_cores()}
    template = Path(__file__).with_name("profile_advice.txt.j2")
    return document(template, values, percent="{:.0%}".format).splitlines()


def _is(name: str, kinds: tuple[str, ...]) -> bool:
    return any(kind in name for kind in kinds)


if __name__ == "__main__":
    run(main, parse_arguments())
