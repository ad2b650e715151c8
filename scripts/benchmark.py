"""Measure PyTorch eager and an engine side by side, in one job, on random inputs."""

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.artifacts import read_json, write_json
from slipway.engines import BuiltEngine
from slipway.hardware import cpu, require_cpu, usable_cores
from slipway.measure import sample_latency, summarise, warm_up
from slipway.models import load_model
from slipway.program import parser, progress, run

if TYPE_CHECKING:
    import torch


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--engine-record", type=Path, required=True, help="build record of the engine")
    arguments.add_argument("--crop", type=int, required=True, help="height and width of the input in pixels")
    arguments.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8], help="batch sizes to measure")
    arguments.add_argument("--seconds", type=float, default=4, help="for each of PyTorch and the engine at each size")
    arguments.add_argument("--warmup-seconds", type=float, default=1, help="before each measurement")
    arguments.add_argument("--min-samples", type=int, default=20, help="samples to take, however long it takes")
    arguments.add_argument("--hardware", required=True, help="identity of the CPU that must do it")
    arguments.add_argument("--torch-version", help="the PyTorch to compare with")
    arguments.add_argument("--output", type=Path, required=True, help="JSON to write, raw samples included")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Measure every batch size with both, one directly after the other."""
    import torch

    require_cpu(arguments.hardware)
    weights = read_json(arguments.weights_record)
    built = BuiltEngine.of_record(arguments.engine_record)
    torch.set_num_threads(usable_cores())
    subjects = {"pytorch": eager(load_model(arguments.weights, weights)), "engine": built.load().infer}
    random = np.random.default_rng(0)
    results, samples, ratios = [], {}, {}
    for batch in arguments.batch_sizes:
        images = random.standard_normal((batch, 3, arguments.crop, arguments.crop), dtype=np.float32)
        at_this_batch = {}
        for name, infer in subjects.items():
            latencies, summary = measure(lambda infer=infer, images=images: infer(images), batch, arguments)
            samples[f"{name}/{batch}"] = [round(value, 4) for value in latencies]
            at_this_batch[name] = summary
            results.append({"subject": name, **summary})
        ratios[str(batch)] = round(at_this_batch["engine"]["p50_ms"] / at_this_batch["pytorch"]["p50_ms"], 4)
        show(batch, at_this_batch, ratios[str(batch)])
    record = {
        "origin": built.record["origin"],
        "engine_key": built.record["key"],
        "inputs": f"standard normal float32 (N, 3, {arguments.crop}, {arguments.crop}) in host memory and back",
        "results": results,
        "p50_ratio_engine_to_pytorch": ratios,
        "engine_bytes_to_onnx_bytes": round(built.record["bytes"] / built.record["onnx_bytes"], 4),
        "environment": environment(),
        "samples_ms": samples,
    }
    write_json(arguments.output, record)


def eager(model: "torch.nn.Module") -> Callable[[np.ndarray], np.ndarray]:
    """Return the model as a function from array to array, as PyTorch runs it without compilation."""
    import torch

    @torch.inference_mode()
    def infer(images: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(images)).numpy()

    return infer


def measure(call: Callable[[], object], batch: int, arguments: argparse.Namespace) -> tuple[list[float], dict]:
    """Return the latencies in milliseconds and their summary."""
    warm = warm_up(call, arguments.warmup_seconds)
    latencies = sample_latency(call, arguments.seconds, arguments.min_samples)
    return latencies, {**summarise(latencies, batch), "warmup_calls": warm}


def show(batch: int, found: dict[str, dict], ratio: float) -> None:
    """Show one batch size as a line."""
    pytorch, engine = found["pytorch"], found["engine"]
    progress(
        f"  batch {batch}: PyTorch {pytorch['p50_ms']:.1f} ms; engine {engine['p50_ms']:.1f} ms (p50), {ratio:.2f} of "
        f"it; p99 {engine['p99_ms']:.1f} ms, {engine['throughput_per_s']:.1f} images/s"
    )


def environment() -> dict:
    """Return what the figures hold for: CPU, threads, load, versions."""
    import torch

    return {
        "cpu": cpu(),
        "threads": usable_cores(),
        "load_average_1min": os.getloadavg()[0],
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    run(main, parse_arguments())
