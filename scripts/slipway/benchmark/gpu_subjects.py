"""The subjects of a benchmark on a GPU: PyTorch in FP32 and FP16, ONNX Runtime, and each engine."""

import contextlib
import copy
import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial, wraps
from pathlib import Path
from typing import Any

from slipway.benchmark.bound_session import BoundSession
from slipway.benchmark.comparison import ONNX_RUNTIME, PYTORCH, PYTORCH_FP16
from slipway.benchmark.cuda_timing import measure_forward, stream_of
from slipway.benchmark.measurement import Measure, batch_size, in_order
from slipway.benchmark.timing import Effort
from slipway.contract.contract import Contract, Tensors
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.engines.engine_artifact import BuiltEngine
from slipway.networks.graph_network import GraphNetwork


def gpu_subjects(
    model: torch.nn.Module,
    contract: Contract,
    engines: Mapping[str, tuple[BuiltEngine, Any]],
    streams: Sequence[int],
    onnx: Path | None = None,
) -> dict[str, Measure]:
    """Return {name: function that measures the subject} on the GPU: PyTorch FP32 and FP16, ONNX Runtime, each engine.

    PyTorch runs `model`, ONNX Runtime the `onnx` file; with None, its measurement raises SlipwayError. It is the only
    baseline if the model is an ONNX file alone. `engines` are {precision: (engine with its record, loaded engine)}. The
    throughput is measured with each number of CUDA streams in `streams`.
    """

    def measure_engine(built: BuiltEngine, engine: Any, inputs: Tensors, effort: Effort) -> dict:
        batch = batch_size(contract, inputs)
        return engine.measure(batch, built.cast(inputs), streams=list(streams), **asdict(effort))

    of_pytorch = {
        PYTORCH: partial(measure_eager, model, contract, streams=streams),
        PYTORCH_FP16: partial(measure_fp16, model, contract, streams=streams),
    }
    return {
        **({} if isinstance(model, GraphNetwork) else of_pytorch),
        ONNX_RUNTIME: partial(measure_onnxruntime, onnx, contract),
        **{name: partial(measure_engine, *pair) for name, pair in engines.items()},
    }


def freeing_gpu_memory(measure: Callable[..., dict]) -> Callable[..., dict]:
    """Decorate a function that measures a subject on the GPU, so that GPU memory is freed at the end.

    The function's first arguments are the subject, the contract and the inputs. The decorated function raises
    SlipwayError if PyTorch cannot use a GPU here, or if the GPU memory does not suffice.
    """

    @wraps(measure)
    def measured(subject: Any, contract: Contract, inputs: Tensors, *arguments: Any, **options: Any) -> dict:
        if not torch.cuda.is_available():
            raise SlipwayError(
                f"PyTorch {torch.__version__} finds no GPU here (its CUDA is {torch.version.cuda}); run this on the "
                "target's machine, with a PyTorch built for CUDA and a driver that is new enough for it"
            )
        try:
            return measure(subject, contract, inputs, *arguments, **options)
        except torch.cuda.OutOfMemoryError as error:
            raise SlipwayError(
                f"PyTorch runs out of GPU memory at batch size {batch_size(contract, inputs)} "
                f"({str(error).splitlines()[0]}); lower `batch_sizes` of `benchmark` in config.yaml, or end other "
                "programs that use the GPU"
            ) from None
        finally:
            gc.collect()
            torch.cuda.empty_cache()

    return measured


@freeing_gpu_memory
def measure_eager(
    model: torch.nn.Module, contract: Contract, inputs: Tensors, effort: Effort, streams: Sequence[int]
) -> dict:
    """Measure PyTorch eager: a GPU copy of an FP32 network, with PyTorch's defaults and the current TF32 settings.

    The throughput is measured with each number of CUDA streams in `streams`. Returns the measurement of
    `measure_forward`.
    """
    network = ServedNetwork(copy.deepcopy(model), contract).to("cuda")
    return measure_forward(network, in_order(contract.inputs, inputs), batch_size(contract, inputs), effort, streams)


@freeing_gpu_memory
def measure_fp16(
    model: torch.nn.Module, contract: Contract, inputs: Tensors, effort: Effort, streams: Sequence[int]
) -> dict:
    """Measure an FP16 copy of a network on the GPU, without and with a CUDA graph. 4-D inputs are channels last.

    Inputs and outputs have an engine's dtypes, so the conversions are measured, too. Returns the measurement of
    `measure_forward`. Raises SlipwayError if the network does not run in FP16.
    """
    try:
        with cudnn_benchmark():
            halved, arrays = half_precision(model, contract).to("cuda"), in_order(contract.inputs, inputs)
            return measure_forward(halved, arrays, batch_size(contract, inputs), effort, streams, graph=True)
    except torch.cuda.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:
        raise SlipwayError(f"PyTorch cannot run the network in FP16 ({str(error).splitlines()[0]})") from None


@freeing_gpu_memory
def measure_onnxruntime(onnx: Path | None, contract: Contract, inputs: Tensors, effort: Effort) -> dict:
    """Measure the ONNX file in ONNX Runtime's CUDA provider. Return the measurement of `measure_forward`.

    The measurement uses one stream, since a session is bound to its stream. PyTorch does not see the session's memory,
    so "device_memory_bytes" is None. Raises SlipwayError if the provider cannot run the file, or if `onnx` is None.
    """
    if onnx is None:
        raise SlipwayError("no ONNX file was given to measure onnxruntime with (--onnx)")
    session = BoundSession(onnx, contract, contract.sizes_of(inputs), stream_of(0))
    figures = measure_forward(session, in_order(contract.inputs, inputs), batch_size(contract, inputs), effort)
    return {**figures, "device_memory_bytes": None}


def half_precision(model: torch.nn.Module, contract: Contract) -> ServedNetwork:
    """Return an FP16 copy of a network. The copy takes an engine's inputs, and returns float32 or integers."""
    network = copy.deepcopy(model).half()
    if all(parameter.ndim < 5 for parameter in network.parameters()):
        network = network.to(memory_format=torch.channels_last)
    return HalfPrecision(network, contract)


class HalfPrecision(ServedNetwork):
    """A network in FP16. Floating-point inputs become FP16 after normalisation; 4-D inputs become channels last."""

    def _normalised(self, index: int, values: torch.Tensor) -> torch.Tensor:
        values = super()._normalised(index, values)
        if not values.is_floating_point():
            return values
        layout = torch.channels_last if values.ndim == 4 else torch.preserve_format
        return values.to(dtype=torch.float16, memory_format=layout)


@contextlib.contextmanager
def cudnn_benchmark() -> Iterator[None]:
    """Context manager: in the block, cuDNN times its algorithms, and chooses the fastest algorithm for each shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def torch_settings() -> dict:
    """Return {setting: value} for the settings that influence PyTorch's figures on a GPU: CUDA, cuDNN, TF32."""
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "tf32_in_convolutions": torch.backends.cudnn.allow_tf32,
        "tf32_in_matrix_products": torch.backends.cuda.matmul.allow_tf32,
        "nvidia_tf32_override": os.environ.get("NVIDIA_TF32_OVERRIDE"),
        "cudnn_benchmark": {"pytorch": torch.backends.cudnn.benchmark, "pytorch_fp16": True},
    }
