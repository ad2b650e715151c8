"""The subjects of a benchmark (PyTorch, ONNX Runtime and each engine) as functions: (inputs, effort) -> measurement.

A measurement is {"samples_ms": {quantity: [...]}, "throughput_per_s": {streams: inferences/s}, ...}. A quantity that
could not be measured is null.
"""

import contextlib
import copy
import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np

from slipway.benchmark.comparison import ONNX_RUNTIME, PYTORCH, PYTORCH_FP16
from slipway.benchmark.cuda_timing import measure_forward, stream_of
from slipway.benchmark.timing import Effort, warm_up
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError
from slipway.core.hardware import usable_cores
from slipway.core.pytorch import torch
from slipway.engines.engine_artifact import BuiltEngine
from slipway.networks.graph_network import GraphNetwork

Measure = Callable[[Tensors, Effort], dict]
PROVIDER = "CUDAExecutionProvider"


def cpu_subjects(
    model: torch.nn.Module,
    contract: Contract,
    engines: Mapping[str, tuple[BuiltEngine, Any]],
    onnx: Path | None = None,
) -> dict[str, Measure]:
    """Return {name: function that measures the subject} for the baseline and each loaded engine, on the CPU.

    The baseline is PyTorch eager. If the model is an ONNX file alone, the baseline is ONNX Runtime with the `onnx`
    file.
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


def gpu_subjects(
    model: torch.nn.Module,
    contract: Contract,
    engines: Mapping[str, tuple[BuiltEngine, Any]],
    streams: Sequence[int],
    onnx: Path | None = None,
) -> dict[str, Measure]:
    """Return {name: function that measures the subject} on the GPU: PyTorch FP32 and FP16, ONNX Runtime, each engine.

    ONNX Runtime runs the `onnx` file. It is the only baseline if the model is an ONNX file alone. `streams` are the
    numbers of CUDA streams for the throughput.
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


def batch_size(contract: Contract, inputs: Tensors) -> int:
    """Return the number of samples in the inputs of a request; 1 without a batch axis."""
    return contract.sizes_of(inputs).get(BATCH, 1)


def measure_host(
    contract: Contract,
    infer: Callable[[Tensors], Any],
    cast: Callable[[Tensors], Tensors],
    inputs: Tensors,
    effort: Effort,
) -> dict:
    """Measure whole calls of `infer` with a batch in host memory. `cast` converts the batch before the measurement.

    Returns {"samples_ms", "throughput_per_s", "warmup_calls"} (see the module).
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
    """Return a function from {input: array} to the list of output arrays. PyTorch runs it on the CPU, uncompiled."""

    @torch.inference_mode()
    def infer(inputs: Tensors) -> list[np.ndarray]:
        return [output.numpy() for output in network(*map(torch.from_numpy, in_order(network.inputs, inputs)))]

    return infer


def session_on_cpu(onnx: Path) -> Callable[[Tensors], list[np.ndarray]]:
    """Return a function from {input: array} to the list of output arrays of an ONNX file.

    ONNX Runtime runs the file on the CPU, with its default optimisations.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    return partial(session.run, None)


def in_order(tensors: Sequence[Tensor], inputs: Tensors) -> list[np.ndarray]:
    """Return the arrays of `inputs`, {name: array}, in the order of `tensors`."""
    return [inputs[tensor.name] for tensor in tensors]


def freeing_gpu_memory(measure: Callable[..., dict]) -> Callable[..., dict]:
    """Decorate a function (subject, contract, inputs, ...) that measures, so that GPU memory is freed at the end.

    The decorated function raises SlipwayError if PyTorch cannot use a GPU here, or if the GPU memory does not suffice.
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
    """Measure a GPU copy of an FP32 network, with PyTorch's defaults and the current TF32 settings.

    Returns the measurement of `measure_forward`.
    """
    network = ServedNetwork(copy.deepcopy(model), contract).to("cuda")
    return measure_forward(network, in_order(contract.inputs, inputs), batch_size(contract, inputs), effort, streams)


@freeing_gpu_memory
def measure_fp16(
    model: torch.nn.Module, contract: Contract, inputs: Tensors, effort: Effort, streams: Sequence[int]
) -> dict:
    """Measure an FP16 copy of a network on the GPU, without and with a CUDA graph. 4-D inputs are channels last.

    Inputs and outputs have an engine's dtypes, so the conversions are measured, too. Raises SlipwayError if the network
    does not run in FP16.
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
    """Measure the ONNX file in ONNX Runtime's CUDA provider. Raise SlipwayError if the provider cannot run the file.

    The measurement uses one stream, since a session is bound to its stream. PyTorch does not see the session's memory,
    so "device_memory_bytes" is None.
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
    """While the block runs, cuDNN times its algorithms, and chooses the fastest algorithm for each shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def torch_settings() -> dict:
    """Return the settings, besides PyTorch's version, that influence PyTorch's figures on a GPU: CUDA, cuDNN, TF32."""
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "tf32_in_convolutions": torch.backends.cudnn.allow_tf32,
        "tf32_in_matrix_products": torch.backends.cuda.matmul.allow_tf32,
        "nvidia_tf32_override": os.environ.get("NVIDIA_TF32_OVERRIDE"),
        "cudnn_benchmark": {"pytorch": torch.backends.cudnn.benchmark, "pytorch_fp16": True},
    }


class BoundSession:
    """An ONNX Runtime session that reads and writes PyTorch's GPU tensors on one of PyTorch's CUDA streams."""

    def __init__(self, onnx: Path, contract: Contract, sizes: Mapping[str, int], stream: torch.cuda.Stream) -> None:
        """Load the ONNX file for inputs with `sizes`, {axis: size}. Raise SlipwayError if the GPU cannot run it."""
        import onnxruntime as ort

        if PROVIDER not in ort.get_available_providers():
            raise SlipwayError(
                f"onnxruntime {ort.__version__} has no CUDA provider; install onnxruntime-gpu in its place"
            )
        settings = {"device_id": 0, "user_compute_stream": str(stream.cuda_stream)}
        try:
            self._session = ort.InferenceSession(str(onnx), providers=[(PROVIDER, settings)])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise SlipwayError(f"onnxruntime {ort.__version__} cannot load {onnx}: {error}") from None
        if self._session.get_providers()[0] != PROVIDER:
            raise SlipwayError(
                f"onnxruntime {ort.__version__} cannot start its CUDA provider; install the library that the log names"
            )
        if unknown := [tensor.name for tensor in contract.outputs if None in tensor.shape]:
            raise SlipwayError(
                f"the size of the output {unknown[0]} depends on the values, so no memory can be bound for it"
            )
        self._outputs = tuple(
            torch.empty(tensor.sizes(sizes.get(BATCH, 1), sizes), dtype=getattr(torch, tensor.dtype), device="cuda")
            for tensor in contract.outputs
        )
        self._contract = contract
        self._options = ort.RunOptions()
        # Without this, each run ends with a wait for the stream, so batches cannot be enqueued ahead.
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._binding: Any = None

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Enqueue one run and return the outputs. The inputs must be the same GPU tensors in every call."""
        if self._binding is None:
            self._bind(inputs)
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # no common base class, as above
            raise SlipwayError(f"onnxruntime's CUDA provider cannot run the model: {error}") from None
        return self._outputs

    def _bind(self, inputs: Sequence[torch.Tensor]) -> None:
        self._binding = self._session.io_binding()
        for bind, tensors, arrays in (
            (self._binding.bind_input, self._contract.inputs, inputs),
            (self._binding.bind_output, self._contract.outputs, self._outputs),
        ):
            for tensor, values in zip(tensors, arrays, strict=True):
                bind(tensor.name, "cuda", 0, np.dtype(tensor.dtype).type, tuple(values.shape), values.data_ptr())
