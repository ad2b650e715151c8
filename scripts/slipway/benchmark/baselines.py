"""The subjects of a benchmark, PyTorch and each engine, each as a function: batch size -> measurement.

A measurement is {"samples_ms": {quantity: [...]}, "throughput_per_s": {streams: images/s}, ...}. A quantity that could
not be measured is null.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slipway.benchmark import torch_baselines
from slipway.benchmark.comparison import PYTORCH, PYTORCH_FP16
from slipway.benchmark.onnxruntime_baseline import measure_onnxruntime
from slipway.benchmark.timing import Effort, sample_latency, warm_up
from slipway.networks.model_inputs import random_batch, served_model
from slipway.photographs.images import Preprocessing

if TYPE_CHECKING:
    import torch

Measure = Callable[[int], dict]


def cpu_subjects(
    model: "torch.nn.Module", engines: dict[str, Any], preprocess: Preprocessing, input_dtype: str, effort: Effort
) -> dict[str, Measure]:
    """Return PyTorch eager and each loaded engine, measured as functions from array to array in host memory."""
    infers = {PYTORCH: torch_baselines.eager_on_cpu(served_model(model, preprocess, input_dtype))}
    infers |= {name: engine.infer for name, engine in engines.items()}
    inputs = partial(random_batch, input_dtype, crop=preprocess.crop)
    return {
        name: lambda batch, infer=infer: measure_host(infer, inputs(batch), effort) for name, infer in infers.items()
    }


def gpu_subjects(
    model: "torch.nn.Module",
    engines: dict[str, Any],
    preprocess: Preprocessing,
    input_dtype: str,
    effort: Effort,
    streams: Sequence[int],
    onnx: Path | None = None,
) -> dict[str, Measure]:
    """Return PyTorch eager FP32 and FP16, ONNX Runtime with the `onnx` file, and each loaded engine, on the GPU."""
    served = served_model(model, preprocess, input_dtype)
    inputs = partial(random_batch, input_dtype, crop=preprocess.crop)
    subjects: dict[str, Measure] = {
        PYTORCH: lambda batch: torch_baselines.measure_eager(served, inputs(batch), effort, streams),
        PYTORCH_FP16: lambda batch: torch_baselines.measure_fp16(
            model, preprocess, input_dtype, inputs(batch), effort, streams
        ),
        "onnxruntime": lambda batch: measure_onnxruntime(onnx, inputs(batch), effort),
    }
    return subjects | {name: partial(measure_engine, engine, effort, streams) for name, engine in engines.items()}


def measure_host(infer: Callable[[np.ndarray], np.ndarray], images: np.ndarray, effort: Effort) -> dict:
    """Measure a function from array to array in host memory on `images` (N, 3, H, W). The latency is the whole call."""
    calls = warm_up(lambda: infer(images), effort.warmup_seconds)
    latencies = sample_latency(lambda: infer(images), effort.seconds, effort.min_samples)
    return {
        "samples_ms": {"end_to_end": latencies},
        "throughput_per_s": {"1": round(len(images) * 1e3 / float(np.mean(latencies)), 2)},
        "warmup_calls": calls,
    }


def measure_engine(engine: Any, effort: Effort, streams: Sequence[int], batch: int) -> dict:
    """Measure an engine in its own process, which also makes the random inputs."""
    return engine.measure(batch, effort.seconds, effort.warmup_seconds, effort.min_samples, list(streams))
