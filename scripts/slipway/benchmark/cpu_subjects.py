"""The subjects of a benchmark on a CPU: PyTorch or ONNX Runtime, and each engine."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from slipway.benchmark.comparison import ONNX_RUNTIME, PYTORCH
from slipway.benchmark.measurement import Measure, batch_size, in_order
from slipway.benchmark.timing import Effort, warm_up
from slipway.contract.contract import Contract, Tensors
from slipway.contract.network import ServedNetwork
from slipway.core.hardware import usable_cores
from slipway.core.pytorch import torch
from slipway.engines.engine_artifact import BuiltEngine
from slipway.networks.graph_network import GraphNetwork


def cpu_subjects(
    model: torch.nn.Module,
    contract: Contract,
    engines: Mapping[str, tuple[BuiltEngine, Any]],
    onnx: Path | None = None,
) -> dict[str, Measure]:
    """Return {name: function that measures the subject} for the baseline and each engine, on the CPU.

    The baseline is PyTorch eager, which runs `model`. If the model is an ONNX file alone, the baseline is ONNX Runtime,
    which runs `onnx`; ValueError if this is None. `engines` are {precision: (engine with its record, loaded engine)}.
    """
    if isinstance(model, GraphNetwork):
        if onnx is None:
            raise ValueError("a graph has no PyTorch to measure; name its `onnx` file")
        name, infer = ONNX_RUNTIME, session_on_cpu(onnx)
    else:
        name, infer = PYTORCH, eager_on_cpu(ServedNetwork(model, contract))
    return {
        name: partial(measure_host, contract, infer, dict),
        **{
            name: partial(measure_host, contract, engine.infer, built.cast) for name, (built, engine) in engines.items()
        },
    }


def measure_host(
    contract: Contract,
    infer: Callable[[Tensors], Any],
    cast: Callable[[Tensors], Tensors],
    inputs: Tensors,
    effort: Effort,
) -> dict:
    """Measure whole calls of `infer` with a batch in host memory, `inputs`. `cast` converts the batch before.

    Returns {"samples_ms": {"end_to_end": times}, "throughput_per_s": {"1": inferences/s}, "warmup_calls": number}.
    """
    call = partial(infer, cast(inputs))
    calls = warm_up(call, effort.warmup_seconds)
    latencies = effort.sample(call, share=1)
    return {
        "samples_ms": {"end_to_end": latencies},
        "throughput_per_s": {"1": round(batch_size(contract, inputs) * 1e3 / float(np.mean(latencies)), 2)},
        "warmup_calls": calls,
    }


def eager_on_cpu(network: ServedNetwork) -> Callable[[Tensors], list[np.ndarray]]:
    """Return a function that runs a network in PyTorch on the CPU, uncompiled.

    The function takes {input: array}, and returns the list of output arrays.
    """

    @torch.inference_mode()
    def infer(inputs: Tensors) -> list[np.ndarray]:
        return [output.numpy() for output in network(*map(torch.from_numpy, in_order(network.inputs, inputs)))]

    return infer


def session_on_cpu(onnx: Path) -> Callable[[Tensors], list[np.ndarray]]:
    """Return a function that runs an ONNX file in ONNX Runtime on the CPU, with its default optimisations.

    The function takes {input: array}, and returns the list of output arrays.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    return partial(session.run, None)
