"""The subjects of a benchmark, PyTorch, ONNX Runtime and each engine, each as a function: batch size -> measurement.

A measurement is {"samples_ms": {quantity: [...]}, "throughput_per_s": {streams: images/s}, ...}. A quantity that could
not be measured is null.
"""

import contextlib
import copy
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from slipway.benchmark.comparison import PYTORCH, PYTORCH_FP16
from slipway.benchmark.cuda_timing import measure_forward, stream_of
from slipway.benchmark.timing import Effort, sample_latency, warm_up
from slipway.classification.images import Preprocessing
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.networks.model_inputs import random_batch, served_model
from slipway.onnx.tensor_names import INPUT

Measure = Callable[[int], dict]
PROVIDER = "CUDAExecutionProvider"


def cpu_subjects(
    model: torch.nn.Module, engines: dict[str, Any], preprocess: Preprocessing, input_dtype: str, effort: Effort
) -> dict[str, Measure]:
    """Return PyTorch eager and each loaded engine, measured as functions from array to array in host memory."""
    infers = {PYTORCH: eager_on_cpu(served_model(model, preprocess, input_dtype))}
    infers |= {name: lambda images, engine=engine: engine.infer({INPUT: images}) for name, engine in engines.items()}
    inputs = partial(random_batch, input_dtype, crop=preprocess.crop)
    return {
        name: lambda batch, infer=infer: measure_host(infer, inputs(batch), effort) for name, infer in infers.items()
    }


def gpu_subjects(
    model: torch.nn.Module,
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
        PYTORCH: lambda batch: measure_eager(served, inputs(batch), effort, streams),
        PYTORCH_FP16: lambda batch: measure_fp16(model, preprocess, input_dtype, inputs(batch), effort, streams),
        "onnxruntime": lambda batch: measure_onnxruntime(onnx, inputs(batch), effort),
    }
    steps = {
        "seconds": effort.seconds,
        "warmup_seconds": effort.warmup_seconds,
        "min_samples": effort.min_samples,
        "streams": list(streams),
    }
    return subjects | {name: partial(engine.measure, **steps) for name, engine in engines.items()}


def measure_host(infer: Callable[[np.ndarray], Any], images: np.ndarray, effort: Effort) -> dict:
    """Measure a function of an array in host memory on `images` (N, 3, H, W). The latency is the whole call."""
    calls = warm_up(lambda: infer(images), effort.warmup_seconds)
    latencies = sample_latency(lambda: infer(images), effort.seconds, effort.min_samples)
    return {
        "samples_ms": {"end_to_end": latencies},
        "throughput_per_s": {"1": round(len(images) * 1e3 / float(np.mean(latencies)), 2)},
        "warmup_calls": calls,
    }


def eager_on_cpu(model: torch.nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """Return the model as a function from array to array, run by PyTorch without compilation."""

    @torch.inference_mode()
    def infer(images: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(images)).numpy()

    return infer


def require_cuda() -> None:
    """Raise SlipwayError unless this PyTorch can use a GPU here."""
    if not torch.cuda.is_available():
        raise SlipwayError(
            f"PyTorch {torch.__version__} finds no GPU here (its CUDA is {torch.version.cuda}); run this on the "
            "target's machine, with a PyTorch built for CUDA and a driver that is new enough for it"
        )


def measure_eager(model: torch.nn.Module, images: np.ndarray, effort: Effort, streams: Sequence[int]) -> dict:
    """Measure the served model (on the CPU, FP32) on the GPU with PyTorch's defaults and the current TF32 settings."""
    return _freeing_memory(
        len(images), lambda: measure_forward(copy.deepcopy(model).to("cuda"), images, effort, streams)
    )


def measure_fp16(
    model: torch.nn.Module,
    preprocess: Preprocessing,
    input_dtype: str,
    images: np.ndarray,
    effort: Effort,
    streams: Sequence[int],
) -> dict:
    """Measure the model (on the CPU, FP32, not normalising) in FP16, channels last, without and with a CUDA graph.

    Input and output have the types of an engine, `input_dtype` and float32, so the conversions are measured, too.
    """

    def measure() -> dict:
        with cudnn_benchmark():
            halved = half_precision(model, preprocess, input_dtype).to("cuda")
            return measure_forward(halved, images, effort, streams, graph=True)

    return _freeing_memory(len(images), measure)


def half_precision(model: torch.nn.Module, preprocess: Preprocessing, input_dtype: str) -> torch.nn.Module:
    """Return a copy that computes in FP16, channels last, from an engine's input to float32 logits."""

    class HalfPrecision(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normalise = served_model(torch.nn.Identity(), preprocess, input_dtype)
            self.model = copy.deepcopy(model).half().to(memory_format=torch.channels_last)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            halves = self.normalise(images).to(dtype=torch.float16, memory_format=torch.channels_last)
            return self.model(halves).float()

    return HalfPrecision().eval()


@contextlib.contextmanager
def cudnn_benchmark() -> Iterator[None]:
    """Let cuDNN time its algorithms and choose the fastest for each shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def torch_settings() -> dict:
    """Return the settings that influence PyTorch's figures on a GPU, in addition to its version."""
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "tf32_in_convolutions": torch.backends.cudnn.allow_tf32,
        "tf32_in_matrix_products": torch.backends.cuda.matmul.allow_tf32,
        "nvidia_tf32_override": os.environ.get("NVIDIA_TF32_OVERRIDE"),
        "cudnn_benchmark": {"pytorch": torch.backends.cudnn.benchmark, "pytorch_fp16": True},
    }


def _freeing_memory(batch: int, measure: Callable[[], dict]) -> dict:
    """Return the result of `measure`, and free its GPU memory. Raise SlipwayError if the memory does not suffice."""
    require_cuda()
    try:
        return measure()
    except torch.cuda.OutOfMemoryError as error:
        raise SlipwayError(
            f"PyTorch runs out of GPU memory at batch size {batch} ({str(error).splitlines()[0]}); lower "
            "`batch_sizes` of `benchmark` in config.yaml, or end other programs that use the GPU"
        ) from None
    finally:
        gc.collect()
        torch.cuda.empty_cache()


class BoundSession:
    """A session that reads and writes PyTorch's GPU tensors and enqueues on one of PyTorch's streams."""

    def __init__(self, onnx: str | Path, stream: torch.cuda.Stream) -> None:
        """Load the ONNX file. Raise SlipwayError with the reason if it cannot run on the GPU."""
        import onnxruntime as ort

        if PROVIDER not in ort.get_available_providers():
            raise SlipwayError(f"onnxruntime {ort.__version__} has no CUDA provider; onnxruntime-gpu has one")
        settings = {"device_id": 0, "user_compute_stream": str(stream.cuda_stream)}
        try:
            self._session = ort.InferenceSession(str(onnx), providers=[(PROVIDER, settings)])
        except Exception as error:  # its exception classes have no common base
            raise SlipwayError(f"onnxruntime {ort.__version__} cannot load {onnx}: {error}") from None
        if self._session.get_providers()[0] != PROVIDER:
            raise SlipwayError(
                f"onnxruntime {ort.__version__} cannot start its CUDA provider; the log names the library it misses"
            )
        self._options = ort.RunOptions()
        # Without this, each run waits for the stream at its end, and batches cannot be enqueued ahead.
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._binding: Any = None

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Enqueue one run and return the logits. `images` (N, 3, H, W) must be the same GPU tensor in every call."""
        if self._binding is None:
            self._bind(images)
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # no common base, as above
            raise SlipwayError(f"onnxruntime's CUDA provider cannot run the model: {error}") from None
        return self._logits

    def _bind(self, images: torch.Tensor) -> None:
        source, target = self._session.get_inputs()[0], self._session.get_outputs()[0]
        classes = target.shape[-1]
        if not isinstance(classes, int):
            raise SlipwayError(f"the ONNX file does not state the number of classes: its output is {target.shape}")
        self._logits = torch.empty((len(images), classes), dtype=torch.float32, device="cuda")
        dtype = np.uint8 if images.dtype == torch.uint8 else np.float32
        self._binding = self._session.io_binding()
        self._binding.bind_input(source.name, "cuda", 0, dtype, tuple(images.shape), images.data_ptr())
        self._binding.bind_output(
            target.name, "cuda", 0, np.float32, tuple(self._logits.shape), self._logits.data_ptr()
        )


def measure_onnxruntime(onnx: str | Path | None, images: np.ndarray, effort: Effort) -> dict:
    """Measure the ONNX file in ONNX Runtime's CUDA provider. Raise SlipwayError with the reason if it cannot run.

    It uses one stream, since a session is bound to its stream. PyTorch does not see the session's memory, so
    `device_memory_bytes` is null.
    """
    if onnx is None:
        raise SlipwayError("no ONNX file was given to measure onnxruntime with (--onnx)")
    try:
        session = BoundSession(onnx, stream_of(0))
        measurement = measure_forward(session, images, effort)
    finally:
        session = None
        gc.collect()
        torch.cuda.empty_cache()
    return {**measurement, "device_memory_bytes": None}
